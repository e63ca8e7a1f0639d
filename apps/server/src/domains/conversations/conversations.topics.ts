import type { ConversationId, MovedCursor, TenantId, UserId } from '@sotto/protocol'
import { topic } from '../../platform/bus/bus.ts'
import type { StoredEntry } from './conversation.model.ts'

/** An entry was made durable. Published in order of seq; the row is as it stands at rest. */
export const entryAppended = topic<{ readonly tenantId: TenantId; readonly entry: StoredEntry }>('entry.appended')

/** A member's cursor moved forward. */
export const cursorMoved = topic<{
  readonly tenantId: TenantId
  readonly conversationId: ConversationId
  readonly cursor: MovedCursor
}>('cursor.moved')

/** Title or state of a conversation changed. */
export const conversationChanged = topic<{ readonly tenantId: TenantId; readonly conversationId: ConversationId }>(
  'conversation.changed',
)

/** Something was done to a conversation, and whether it has happened is not known: the answer of its commit was lost. */
export const conversationDoubted = topic<{ readonly tenantId: TenantId; readonly conversationId: ConversationId }>(
  'conversation.doubted',
)

/** Users joined or left. */
export const membershipChanged = topic<{
  readonly tenantId: TenantId
  readonly conversationId: ConversationId
  readonly joined: readonly UserId[]
  readonly left: readonly UserId[]
}>('membership.changed')
