/**
 * Sotto for TypeScript, in browsers and in Node. Start with `connect`; first-party pages sign in with `signIn` before.
 *
 * Everything that changes is a live object with `getSnapshot()` and `subscribe()`. Everything that can go wrong is a
 * `SottoProblem`, whose `retry` says what to do next.
 */
export { connect, type ConnectOptions, type Sotto } from './connect.ts'
export {
  finishSignOut,
  isSignOutUnheard,
  resumeSession,
  signIn,
  signInByLink,
  type ResumeOptions,
  type SessionOptions,
  type SignInByLinkOptions,
  type SignInOptions,
} from './session/sign-in.ts'
export type { Credentials, RefreshTokenIn, Session } from './session/session.ts'
export type { Api, ApiRequest } from './api/api.ts'
export type { Fetch, GetToken, HttpOptions } from './api/http.ts'
export { SottoProblem, type AnyProblemCode, type SdkProblemCode } from './api/problem.ts'
export type { Connection, ConnectionSnapshot } from './live/connection.ts'
export type { Conversation, ConversationSnapshot, Receipts } from './live/conversation.ts'
export type {
  ConversationList,
  ConversationListItem,
  ConversationListSnapshot,
  NewConversation,
} from './live/conversation-list.ts'
export type { Outbox, OutboxSnapshot } from './live/outbox.ts'
export type { Presence, PresenceSnapshot } from './live/presence.ts'
export type { Delivery, EntryItem, PendingItem, TimelineItem } from './live/timeline.ts'
export type { Live } from './platform/live.ts'
export { systemClock, type Clock } from './platform/clock.ts'
export { systemRandom, uuidv7, type Random } from './platform/random.ts'
export type { DiscardOptions, MessageHeader, Queued } from './runtime/core.ts'
export type { SocketConstructor, SocketLike } from './runtime/socket.ts'
export { indexedDbStorage } from './storage/indexeddb-storage.ts'
export { memoryStorage } from './storage/memory-storage.ts'
export type { Storage, Store, Write } from './storage/storage.port.ts'
export type { EndReason } from './sync/state.ts'
export type {
  Capability,
  Conversation as ConversationSummary,
  ConversationId,
  Counterpart,
  Cursor,
  Device,
  DeviceId,
  Entry,
  EntryId,
  Member,
  Payload,
  ProblemCode,
  ProblemDocument,
  Retry,
  Role,
  SendablePayload,
  Sent,
  User,
  UserId,
} from '@sotto/protocol'
