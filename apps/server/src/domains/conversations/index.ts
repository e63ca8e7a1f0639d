/** The door of the conversations room. */
export { createAppender, type Appender } from './append.ts'
export type { AppendDeps } from './append-batch.ts'
export { conversationsRoutes } from './conversations.routes.ts'
export { awaitConversation } from './conversation-store.ts'
export {
  conversationChanged,
  conversationDoubted,
  cursorMoved,
  entryAppended,
  membershipChanged,
} from './conversations.topics.ts'
export { createDeliveries } from './deliveries.ts'
export { listLogEntries } from './log-store.ts'
export { listAudience } from './member-store.ts'
export { createMembershipFacts } from './membership-facts.ts'
export { createCursorMover, moveCursor } from './move-cursor.ts'
export { encodePayload, renderEntry, sealBody, type BodyDeps, type ConversationKeys } from './render-entry.ts'
export { syncConversations } from './sync-conversations.ts'
