/**
 * Every limit a client can meet, in one place. The server enforces them, the SDK obeys them before it asks, the reference
 * is generated from them, and `GET /v1/limits` answers them (an operator may have changed some).
 */
export interface LimitSpec {
  readonly value: number
  readonly unit: 'bytes' | 'characters' | 'count' | 'ms' | 'per second' | 'seconds'
  readonly meaning: string
  /** What an operator may change it to. Without them it is part of the contract. */
  readonly min?: number
  readonly max?: number
}

export const limitSpecs = {
  messageBytesMax: { value: 65_536, unit: 'bytes', meaning: 'The payload of one message, as UTF-8 JSON' },
  requestBytesMax: { value: 98_304, unit: 'bytes', meaning: 'The body of one HTTP request' },
  frameBytesMax: { value: 98_304, unit: 'bytes', meaning: 'One frame from a client on the socket' },
  jsonDepthMax: { value: 16, unit: 'count', meaning: 'Nesting of objects and arrays in a request or frame' },
  titleCharactersMax: { value: 200, unit: 'characters', meaning: 'The title of a conversation' },
  nameCharactersMax: { value: 120, unit: 'characters', meaning: 'The display name of a user, team or device' },
  passwordCharactersMin: {
    value: 15,
    unit: 'characters',
    meaning: 'A password that is the only factor (NIST SP 800-63B-4 §3.1.1.2)',
  },
  passwordCharactersMax: { value: 256, unit: 'characters', meaning: 'A password' },
  conversationMembersMax: { value: 5_000, unit: 'count', meaning: 'Members of one conversation' },
  receiptMembersMax: { value: 250, unit: 'count', meaning: 'Members up to which receipts of single persons are shown' },
  membersPerRequestMax: { value: 250, unit: 'count', meaning: 'Users added to a conversation in one request' },
  pageSizeMax: { value: 200, unit: 'count', meaning: 'Items of one page of a list' },
  pageSizeDefault: { value: 50, unit: 'count', meaning: 'Items of one page when the request does not say' },
  presenceWatchMax: { value: 500, unit: 'count', meaning: 'Users whose presence one socket watches' },
  socketsPerUserMax: { value: 20, unit: 'count', min: 1, max: 1_000, meaning: 'Open sockets of one user' },
  socketQueueBytesMax: {
    value: 1_048_576,
    unit: 'bytes',
    min: 65_536,
    max: 268_435_456,
    meaning:
      'Bytes that wait for a socket that takes nothing before it is closed; four times as many are too many for any',
  },
  socketCommandsPerSecond: {
    value: 50,
    unit: 'per second',
    min: 1,
    max: 1_000_000,
    meaning: 'Commands of one user on all sockets together, sustained',
  },
  socketCommandsBurst: {
    value: 200,
    unit: 'count',
    min: 1,
    max: 1_000_000,
    meaning: 'Commands of one user on all sockets together, at once',
  },
  socketUnansweredMax: {
    value: 256,
    unit: 'count',
    min: 1,
    max: 1_000_000,
    meaning: 'Commands on one socket that wait for their answer',
  },
  socketFloodMs: {
    value: 15_000,
    unit: 'ms',
    min: 1_000,
    max: 600_000,
    meaning: 'A socket that is over its rate for this long, without a calm second, is closed',
  },
  requestsPerSecond: {
    value: 50,
    unit: 'per second',
    min: 1,
    max: 1_000_000,
    meaning:
      'HTTP requests of one user, or of one network while there is no user; attempts to open a socket among them',
  },
  requestsBurst: { value: 200, unit: 'count', min: 1, max: 1_000_000, meaning: 'HTTP requests of one user, at once' },
  signInsPerAddressPerSecond: {
    value: 1,
    unit: 'per second',
    min: 1,
    max: 1_000_000,
    meaning: 'Sign-in attempts from one address, sustained',
  },
  signInsPerAddressBurst: {
    value: 30,
    unit: 'count',
    min: 1,
    max: 1_000_000,
    meaning: 'Sign-in attempts from one address, at once',
  },
  signInDelayMsMax: {
    value: 30_000,
    unit: 'ms',
    min: 1_000,
    max: 300_000,
    meaning: 'The longest wait after failed sign-ins; there is no lock-out',
  },
  accessTokenSeconds: { value: 300, unit: 'seconds', min: 10, max: 300, meaning: 'Life of an access token' },
  socketTicketSeconds: {
    value: 30,
    unit: 'seconds',
    min: 5,
    max: 120,
    meaning: 'Life of a socket ticket; it works once',
  },
  signInLinkSeconds: { value: 86_400, unit: 'seconds', meaning: 'Life of a one-time sign-in link' },
  refreshGraceSeconds: {
    value: 10,
    unit: 'seconds',
    min: 1,
    max: 60,
    meaning: 'How long a rotated refresh token still answers, for a lost reply',
  },
  sessionIdleSeconds: {
    value: 900,
    unit: 'seconds',
    min: 10,
    max: 86_400,
    meaning: 'A session without an act of its user ends',
  },
  sessionAbsoluteSeconds: {
    value: 43_200,
    unit: 'seconds',
    min: 60,
    max: 2_592_000,
    meaning: 'A session ends, whatever happens in it',
  },
  sessionExpiringSeconds: {
    value: 120,
    unit: 'seconds',
    min: 10,
    max: 3_600,
    meaning:
      'How long before its end a session is called expiring, at most half of the idle time; looked up every 10 seconds',
  },
  heartbeatMs: {
    value: 20_000,
    unit: 'ms',
    min: 1_000,
    max: 120_000,
    meaning: 'A quiet client pings this often; a socket silent for three of these is closed',
  },
  typingMs: { value: 5_000, unit: 'ms', meaning: 'A typing signal is shown for this long' },
  idempotencySeconds: { value: 2_592_000, unit: 'seconds', meaning: 'How long a repeated send is recognised' },
} as const satisfies Record<string, LimitSpec>

export type LimitName = keyof typeof limitSpecs

/** Those that an operator may change, between `min` and `max`. */
export type TunableLimitName = {
  [Name in LimitName]: (typeof limitSpecs)[Name] extends { readonly min: number } ? Name : never
}[LimitName]

export type Limits = Readonly<Record<LimitName, number>>

export const limitDefaults: Limits = Object.freeze(
  Object.fromEntries(Object.entries(limitSpecs).map(([name, spec]) => [name, spec.value])) as Record<LimitName, number>,
)
