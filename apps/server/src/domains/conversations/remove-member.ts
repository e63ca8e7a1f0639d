import type { InputOf, Operations } from '@sotto/protocol'
import type { Ctx } from '../../platform/context/context.ts'
import { problem } from '../../platform/problem/problem.ts'
import type { ConversationDeps } from './conversations.deps.ts'
import { membershipChanged } from './conversations.topics.ts'
import { rotateKey } from './rotate-key.ts'
import { endMembership, updateMemberCount } from './member-store.ts'

/**
 * Removes a member, or lets the caller leave. Delivery to the removed ends within a second, and what is written from now
 * on is sealed under a new epoch of the conversation's key (security design §3.3).
 *
 * @throws access/not-found 404 · access/denied 403 · conversations/last-manager 409
 * @effects member, entry, conversation_key, audit `member.remove`, in one transaction
 */
export async function removeMember(
  deps: ConversationDeps,
  ctx: Ctx,
  input: InputOf<Operations['removeMember']>,
): Promise<void> {
  const isLeaving = input.userId === ctx.userId
  await deps.appender.change(ctx, input.conversationId, async (tx, log) => {
    // Leaving takes no more than being there; removing someone else is a manager's.
    const action = isLeaving ? 'conversation.get' : 'member.remove'
    const { grant, membership } = await deps.access.authorizeConversation(tx, ctx, action, input.conversationId)
    const { subjectUserId } = membership
    if (log.end === undefined) throw problem('access/not-found')
    if (membership.kind === 'direct')
      throw problem('access/denied', { trueReason: 'direct-conversation', subjectUserId })
    if (!(await endMembership(tx, ctx.tenantId, grant, input.userId, log.end.lastSeq + 1)))
      throw problem('access/not-found', { trueReason: 'no-such-member', subjectUserId })
    const end = await rotateKey(deps, tx, ctx.tenantId, log.end)
    await log.append(end, {
      entryId: deps.ids.next(),
      kind: 'membership',
      header: { counts: false, priority: 'routine', notify: 'silent' },
      payload: { v: 1, type: 'membership', change: isLeaving ? 'left' : 'removed', userIds: [input.userId] },
      clientSentAt: null,
    })
    const { members, managers } = await updateMemberCount(tx, ctx.tenantId, input.conversationId)
    if (managers === 0 && members > 0) throw problem('conversations/last-manager', { subjectUserId })
    await deps.recordAudit(tx, ctx, {
      action: 'member.remove',
      resource: { type: 'conversation', id: input.conversationId },
      subjectUserId,
      details: { removed: input.userId, left: isLeaving, keyEpoch: end.keyEpoch },
    })
  })
  deps.bus.publish(membershipChanged, {
    tenantId: ctx.tenantId,
    conversationId: input.conversationId,
    joined: [],
    left: [input.userId],
  })
}
