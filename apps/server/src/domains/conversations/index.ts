/** The door of the conversations room. */
export { createAppender, type Appender, type AppendDeps, type AppendItem } from './append.ts'
export { createCursorMover, type CursorMover } from './move-cursor.ts'
export { createDeliveries, type Deliveries } from './deliveries.ts'
export { countUnread, type StoredEntry } from './conversation.model.ts'
export {
  encodePayload,
  openBody,
  renderEntry,
  sealBody,
  toEntry,
  type BodyDeps,
  type ConversationKeys,
} from './render-entry.ts'
export type { ConversationDeps, RosterName } from './conversations.deps.ts'
export { conversationsRoutes } from './conversations.routes.ts'
export { conversationChanged, cursorMoved, entryAppended, membershipChanged } from './conversations.topics.ts'
export { createMembershipFacts } from './membership-facts.ts'
export { listLogEntries } from './log-store.ts'
export { listAudience } from './member-store.ts'
export { syncConversations } from './sync-conversations.ts'
export { moveCursor } from './move-cursor.ts'
