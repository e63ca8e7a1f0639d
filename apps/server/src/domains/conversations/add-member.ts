import type { Conversation, ConversationId, InputOf, Operations, UserId } from '@sotto/protocol'
import { limitDefaults } from '@sotto/protocol'
import { mayManage } from '../access/index.ts'
import type { Ctx } from '../../platform/context/context.ts'
import type { Tx } from '../../platform/db/tx.ts'
import type { Grant } from '../../platform/grant/grant.ts'
import { problem } from '../../platform/problem/problem.ts'
import type { OpenLog } from './append.ts'
import { firstVisibleSeq, type LogEnd } from './conversation.model.ts'
import type { ConversationDeps } from './conversations.deps.ts'
import { membershipChanged } from './conversations.topics.ts'
import { findMembershipRow } from './conversation-store.ts'
import { readConversation } from './get-conversation.ts'
import { insertMembers, promoteMembers, updateMemberCount } from './member-store.ts'

type Input = InputOf<Operations['addMember']>

/**
 * Adds users to a group. Whether they see earlier entries is the conversation's history policy, fixed at its creation;
 * nothing that was written before they joined is unread to them. Members who are added as managers become managers: so a
 * last manager can hand over before leaving. Nobody is ever made less by being added.
 *
 * @throws access/not-found 404 · access/denied 403 · conversations/closed 409 · conversations/unknown-user 400 ·
 *         conversations/too-many-members 409 · platform/invalid-input 400 (a manager who could not manage)
 * @effects members, entry, audit `member.add`, in one transaction; a repeat adds nobody and appends nothing
 */
export async function addMember(deps: ConversationDeps, ctx: Ctx, input: Input): Promise<Conversation> {
  const { conversationId, memberRole } = input
  const userIds = [...new Set(input.userIds)]
  const { conversation, joined, promoted } = await deps.appender.change(ctx, conversationId, async (tx, log) => {
    const { grant, membership } = await deps.access.authorizeConversation(tx, ctx, 'member.add', conversationId)
    if (log.end === undefined) throw problem('access/not-found')
    await checkUsers(deps, tx, ctx, userIds, memberRole)
    const joined = await join(deps, tx, ctx, grant, log, log.end, { ...input, userIds })
    const others = userIds.filter((userId) => !joined.includes(userId))
    const promoted = memberRole === 'manager' ? await promoteMembers(tx, ctx.tenantId, grant, others) : []
    await deps.recordAudit(tx, ctx, {
      action: 'member.add',
      resource: { type: 'conversation', id: conversationId },
      subjectUserId: membership.subjectUserId,
      details: { added: [...joined], memberRole, ...(promoted.length > 0 ? { promoted: [...promoted] } : {}) },
    })
    return { conversation: await readConversation(deps, tx, ctx, conversationId), joined, promoted }
  })
  if (joined.length + promoted.length > 0)
    deps.bus.publish(membershipChanged, { tenantId: ctx.tenantId, conversationId, joined, left: [] })
  return conversation
}

async function checkUsers(
  deps: ConversationDeps,
  tx: Tx,
  ctx: Ctx,
  userIds: readonly UserId[],
  memberRole: Input['memberRole'],
): Promise<void> {
  const names = await deps.findUserNames(tx, ctx.tenantId, userIds)
  if (!userIds.every((userId) => names.get(userId)?.active)) throw problem('conversations/unknown-user')
  // A conversation whose only manager may not manage could never be managed again.
  if (memberRole === 'manager' && !userIds.every((userId) => mayManage(names.get(userId)!.role))) {
    const message = 'only clinicians and services manage conversations'
    throw problem('platform/invalid-input', { errors: [{ pointer: '/memberRole', message }] })
  }
}

async function join(
  deps: ConversationDeps,
  tx: Tx,
  ctx: Ctx,
  grant: Grant<'member.add', ConversationId>,
  log: OpenLog,
  end: LogEnd,
  { conversationId, userIds, memberRole }: Input,
): Promise<readonly UserId[]> {
  const row = await findMembershipRow(tx, ctx.tenantId, conversationId, ctx.userId)
  const joinedSeq = end.lastSeq + 1
  const joined = await insertMembers(tx, ctx.tenantId, grant, {
    conversationId,
    userIds,
    memberRole,
    joinedSeq,
    firstVisibleSeq: firstVisibleSeq(row!.history, joinedSeq),
    lastCountable: end.lastCountable,
    at: deps.clock.now(),
  })
  if (joined.length === 0) return joined
  await log.append(end, {
    entryId: deps.ids.next(),
    kind: 'membership',
    header: { counts: false, priority: 'routine', notify: 'silent' },
    payload: { v: 1, type: 'membership', change: 'added', userIds: [...joined] },
    clientSentAt: null,
  })
  const { members } = await updateMemberCount(tx, ctx.tenantId, conversationId)
  if (members > limitDefaults.conversationMembersMax) throw problem('conversations/too-many-members')
  return joined
}
