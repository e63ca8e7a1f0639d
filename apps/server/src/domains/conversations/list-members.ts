import type { InputOf, Operations, ReplyOf } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { assertPageKey } from '../../platform/paging/page-key.ts'
import { toRfc3339 } from '../../platform/time/clock.ts'
import type { ConversationDeps } from './conversations.deps.ts'
import { listMemberRows } from './member-store.ts'

/**
 * Who is in the conversation and as what.
 *
 * @throws access/not-found 404
 * @effects audit `member.list`: one about whom the conversation is about, one for each other patient who is named
 */
export async function listMembers(
  deps: ConversationDeps,
  ctx: Ctx,
  input: InputOf<Operations['listMembers']>,
): Promise<ReplyOf<Operations['listMembers']>> {
  const after = assertPageKey(input.after)
  return deps.db.withTx(scopeOf(ctx), async (tx) => {
    const { grant, membership } = await deps.access.authorizeConversation(tx, ctx, 'member.list', input.conversationId)
    const rows = await listMemberRows(tx, ctx.tenantId, grant, after, input.limit + 1)
    const page = rows.slice(0, input.limit)
    const names = await deps.findUserNames(
      tx,
      ctx.tenantId,
      page.map((row) => row.user_id),
    )
    const record = {
      action: 'member.list' as const,
      resource: { type: 'conversation', id: input.conversationId },
      subjectUserId: membership.subjectUserId,
      details: { members: page.length },
    }
    const patients = page
      .map((row) => row.user_id)
      .filter((userId) => names.get(userId)?.role === 'patient' && userId !== membership.subjectUserId)
    await deps.recordAudit(tx, ctx, [record, ...patients.map((subjectUserId) => ({ ...record, subjectUserId }))])
    const items = page.map((row) => {
      const name = names.get(row.user_id)!
      return {
        userId: row.user_id,
        displayName: name.displayName.reveal(),
        role: name.role,
        memberRole: row.member_role,
        active: name.active,
        joinedAt: toRfc3339(row.joined_at),
      }
    })
    return { items, next: rows.length > input.limit ? page.at(-1)!.user_id : null }
  })
}
