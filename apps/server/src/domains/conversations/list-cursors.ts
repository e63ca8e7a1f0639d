import { limitDefaults, type InputOf, type Operations, type ReplyOf } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import type { ConversationDeps } from './conversations.deps.ts'
import { listCursorRows } from './member-store.ts'

/**
 * How far each member has received and read. Above the limit of members there are no receipts of single persons: such a
 * conversation is an announcement.
 *
 * @throws access/not-found 404
 * @effects audit `cursor.list`
 */
export async function listCursors(
  deps: ConversationDeps,
  ctx: Ctx,
  input: InputOf<Operations['listCursors']>,
): Promise<ReplyOf<Operations['listCursors']>> {
  return deps.db.withTx(scopeOf(ctx), async (tx) => {
    const { grant, membership } = await deps.access.authorizeConversation(tx, ctx, 'cursor.list', input.conversationId)
    const isShown = membership.memberCount <= limitDefaults.receiptMembersMax
    const rows = isShown ? await listCursorRows(tx, ctx.tenantId, grant, limitDefaults.receiptMembersMax) : []
    await deps.recordAudit(tx, ctx, {
      action: 'cursor.list',
      resource: { type: 'conversation', id: input.conversationId },
      subjectUserId: membership.subjectUserId,
    })
    return {
      items: rows.map((row) => ({ userId: row.user_id, deliveredSeq: row.delivered_seq, readSeq: row.read_seq })),
    }
  })
}
