import type { Conversation, ConversationId, InputOf, Operations } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import type { Tx } from '../../platform/db/tx.ts'
import { problem } from '../../platform/problem/problem.ts'
import type { ConversationDeps } from './conversations.deps.ts'
import { findSummary } from './conversation-store.ts'
import { renderConversations, subjectsOf } from './render-conversation.ts'

/**
 * One conversation with the caller's cursor, unread number and capabilities.
 *
 * @throws access/not-found 404
 * @effects audit `conversation.get`, one for each patient whom it tells about, or one
 */
export async function getConversation(
  deps: ConversationDeps,
  ctx: Ctx,
  input: InputOf<Operations['getConversation']>,
): Promise<Conversation> {
  return deps.db.withTx(scopeOf(ctx), async (tx) => {
    const conversation = await readConversation(deps, tx, ctx, input.conversationId)
    const resource = { type: 'conversation', id: input.conversationId }
    const records = subjectsOf(conversation).map((subjectUserId) => ({
      action: 'conversation.get' as const,
      resource,
      subjectUserId,
    }))
    await deps.recordAudit(tx, ctx, records)
    return conversation
  })
}

/** The same inside the transaction of another act, which is the one recorded. */
export async function readConversation(
  deps: ConversationDeps,
  tx: Tx,
  ctx: Ctx,
  conversationId: ConversationId,
): Promise<Conversation> {
  const [{ session }, row] = await Promise.all([
    deps.access.authorizeConversation(tx, ctx, 'conversation.get', conversationId),
    findSummary(tx, ctx.tenantId, ctx.userId, conversationId),
  ])
  if (row === undefined) throw problem('access/not-found')
  const [conversation] = await renderConversations(deps, tx, ctx, session, [row])
  return conversation!
}
