import type { Conversation, InputOf, Operations, UserId } from '@sotto/protocol'
import { limitDefaults } from '@sotto/protocol'
import type { Ctx } from '../../platform/context/context.ts'
import { problem } from '../../platform/problem/problem.ts'
import { firstVisibleSeq } from './conversation.model.ts'
import type { ConversationDeps } from './conversations.deps.ts'
import { membershipChanged } from './conversations.topics.ts'
import { findMembershipRow } from './conversation-store.ts'
import { readConversation } from './get-conversation.ts'
import { insertMembers, updateMemberCount } from './member-store.ts'

/**
 * Adds users to a group. Whether they see earlier entries is the conversation's history policy, fixed at its creation;
 * nothing that was written before they joined is unread to them.
 *
 * @throws access/not-found 404 · access/denied 403 · conversations/closed 409 · conversations/unknown-user 400 ·
 *         conversations/too-many-members 409
 * @effects members, entry, audit `member.add`, in one transaction; a repeat adds nobody and appends nothing
 */
export async function addMember(
  deps: ConversationDeps,
  ctx: Ctx,
  input: InputOf<Operations['addMember']>,
): Promise<Conversation> {
  const userIds = [...new Set(input.userIds)]
  const { conversation, joined } = await deps.appender.change(ctx, input.conversationId, async (tx, log) => {
    const { grant, membership } = await deps.access.authorizeConversation(tx, ctx, 'member.add', input.conversationId)
    if (log.end === undefined) throw problem('access/not-found')
    const names = await deps.findUserNames(tx, ctx.tenantId, userIds)
    if (!userIds.every((userId) => names.get(userId)?.active)) throw problem('conversations/unknown-user')
    const row = await findMembershipRow(tx, ctx.tenantId, input.conversationId, ctx.userId)
    const joinedSeq = log.end.lastSeq + 1
    const joined: readonly UserId[] = await insertMembers(tx, ctx.tenantId, grant, {
      conversationId: input.conversationId,
      userIds,
      memberRole: input.memberRole,
      joinedSeq,
      firstVisibleSeq: firstVisibleSeq(row!.history, joinedSeq),
      lastCountable: log.end.lastCountable,
      at: deps.clock.now(),
    })
    if (joined.length > 0) {
      await log.append(log.end, {
        entryId: deps.ids.next(),
        kind: 'membership',
        header: { counts: false, priority: 'routine', notify: 'silent' },
        payload: { v: 1, type: 'membership', change: 'added', userIds: [...joined] },
        clientSentAt: null,
      })
      const { members } = await updateMemberCount(tx, ctx.tenantId, input.conversationId)
      if (members > limitDefaults.conversationMembersMax) throw problem('conversations/too-many-members')
    }
    await deps.recordAudit(tx, ctx, {
      action: 'member.add',
      resource: { type: 'conversation', id: input.conversationId },
      subjectUserId: membership.subjectUserId,
      details: { added: [...joined], memberRole: input.memberRole },
    })
    return { conversation: await readConversation(deps, tx, ctx, input.conversationId), joined }
  })
  if (joined.length > 0)
    deps.bus.publish(membershipChanged, {
      tenantId: ctx.tenantId,
      conversationId: input.conversationId,
      joined,
      left: [],
    })
  return conversation
}
