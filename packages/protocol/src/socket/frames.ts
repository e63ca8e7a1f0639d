import { z } from 'zod'
import { conversationIdSchema, deviceIdSchema, instantSchema, sessionIdSchema, userIdSchema } from '../ids.ts'
import { capabilitySchema, cursorSchema, presenceSchema } from '../model/conversation.ts'
import { entrySchema } from '../model/entry.ts'
import { problemSchema } from '../problems/problem.ts'
import { commandIdSchema } from './commands.ts'

/** The subprotocol that client and server agree on; a second one carries the single-use ticket, so that no URL does. */
export const SOCKET_PATH = '/v1/socket'
export const SOCKET_PROTOCOL = 'sotto.v1'
export const SOCKET_TICKET_PREFIX = 'sotto.ticket.'

/** What the server sends: a closed union by `op`. A client ignores an `op` it does not know. */
export const frameSchemas = {
  hello: z.object({
    op: z.literal('hello'),
    sessionId: sessionIdSchema,
    userId: userIdSchema,
    deviceId: deviceIdSchema,
    at: instantSchema,
    heartbeatMs: z.int(),
    reconnectSpreadMs: z
      .int()
      .meta({ description: 'After a cut, wait a random part of this before the first attempt' }),
  }),
  reply: z.object({ op: z.literal('reply'), id: commandIdSchema, result: z.unknown() }),
  error: z.object({ op: z.literal('error'), id: commandIdSchema.nullable(), problem: problemSchema }),
  entry: z.object({ op: z.literal('entry'), entry: entrySchema }),
  cursor: z.object({
    op: z.literal('cursor'),
    conversationId: conversationIdSchema,
    cursor: cursorSchema,
    unread: z
      .int()
      .min(0)
      .optional()
      .meta({ description: "On the user's own devices: the unread number as of `asOfSeq`" }),
    asOfSeq: z.int().min(0).optional(),
  }),
  typing: z.object({
    op: z.literal('typing'),
    conversationId: conversationIdSchema,
    userId: userIdSchema,
    typing: z.boolean(),
  }),
  presence: z.object({ op: z.literal('presence'), presence: presenceSchema }),
  capabilities: z.object({
    op: z.literal('capabilities'),
    conversationId: conversationIdSchema,
    can: z.array(capabilitySchema).meta({ description: 'Empty: the caller is no longer a member' }),
  }),
  conversation: z.object({ op: z.literal('conversation'), conversationId: conversationIdSchema }).meta({
    description: 'Title, state or members changed, or the caller was added: sync',
  }),
  session: z
    .discriminatedUnion('state', [
      z.object({
        op: z.literal('session'),
        state: z.literal('expiring'),
        reason: z.enum(['idle', 'absolute']).meta({ description: 'idle: an act of the user takes it back' }),
        at: instantSchema.meta({ description: "The server's time now, for a client whose clock is wrong" }),
        endsAt: instantSchema,
      }),
      z.object({ op: z.literal('session'), state: z.literal('active') }),
      z.object({ op: z.literal('session'), state: z.literal('ended'), reason: z.string() }),
    ])
    .meta({
      description:
        'The session ends soon, from `sessionExpiringSeconds` before its idle or absolute end on; it is active again; it has ended',
    }),
} as const

export const frameSchema = z.discriminatedUnion('op', [
  frameSchemas.hello,
  frameSchemas.reply,
  frameSchemas.error,
  frameSchemas.entry,
  frameSchemas.cursor,
  frameSchemas.typing,
  frameSchemas.presence,
  frameSchemas.capabilities,
  frameSchemas.conversation,
  frameSchemas.session,
])
export type Frame = z.infer<typeof frameSchema>
export type FrameOf<Op extends Frame['op']> = Extract<Frame, { op: Op }>

export interface CloseSpec {
  readonly meaning: string
  /** What the client does: reconnect at once with jitter, reconnect after a pause, sign in again, or stop. */
  readonly then: 'reconnect' | 'reconnect-later' | 'reauth' | 'stop'
}

/** Why the server closes a socket (RFC 6455 §7.4.1; §7.4.2: 4000–4999 are the application's). */
export const closeCodes = {
  1001: { meaning: 'The node is going away', then: 'reconnect' },
  1002: { meaning: 'A frame was against the protocol (RFC 6455)', then: 'stop' },
  1007: { meaning: 'A text frame was not UTF-8', then: 'stop' },
  1008: { meaning: 'A message came in too many parts', then: 'stop' },
  1009: { meaning: 'A frame was larger than the limit', then: 'stop' },
  4400: { meaning: 'A frame was not a well-formed command, repeatedly', then: 'stop' },
  4401: { meaning: 'The session has ended', then: 'reauth' },
  4408: { meaning: 'The client was silent for too long', then: 'reconnect' },
  4409: { meaning: 'The user has too many open sockets; the oldest was closed', then: 'reconnect-later' },
  4429: { meaning: 'Too many commands', then: 'reconnect-later' },
  4430: { meaning: 'The client reads too slowly; it catches up by sync', then: 'reconnect' },
  4503: { meaning: 'The server cannot record deliveries right now', then: 'reconnect-later' },
} as const satisfies Record<number, CloseSpec>
export type CloseCode = keyof typeof closeCodes
