import type { Conversation, InputOf, Operations, UserId } from '@sotto/protocol'
import type { Ctx } from '../../platform/context/context.ts'
import { constantTimeEqual, keyedHash } from '../../platform/crypto/primitives.ts'
import { isUniqueViolation } from '../../platform/db/errors.ts'
import type { Tx } from '../../platform/db/tx.ts'
import type { Grant } from '../../platform/grant/grant.ts'
import { problem } from '../../platform/problem/problem.ts'
import type { OpenLog } from './append.ts'
import { conversationChanged, membershipChanged } from './conversations.topics.ts'
import type { ConversationDeps, RosterName } from './conversations.deps.ts'
import { findCreationHash, insertConversation } from './conversation-store.ts'
import { subjectsOf, titleContext } from './render-conversation.ts'
import { readConversation } from './get-conversation.ts'
import { insertMembers, updateMemberCount } from './member-store.ts'

type Input = InputOf<Operations['createConversation']>

/**
 * Creates a conversation whose first entry says who made it and who is in it. The caller becomes its manager.
 *
 * @param input.conversationId  made by the client: a repeat with the same content answers the same conversation
 * @param input.subjectUserId   when nobody is named, a direct conversation with one patient is about that patient
 * @throws access/denied 403 · conversations/unknown-user 400 · conversations/id-taken 409
 * @effects conversation, conversation_key, members, entry 1, audit `conversation.create`, in one transaction
 */
export async function createConversation(deps: ConversationDeps, ctx: Ctx, input: Input): Promise<Conversation> {
  const others = [...new Set(input.memberIds)].filter((userId) => userId !== ctx.userId)
  if (input.kind === 'direct' && others.length !== 1) {
    throw problem('platform/invalid-input', {
      errors: [{ pointer: '/memberIds', message: 'a direct conversation has exactly one other member' }],
    })
  }
  const attempt = () => createOrRepeat(deps, ctx, input, others)
  const { conversation, isNew } = await attempt().catch((error: unknown) => {
    // Another node made it between our look and our insert, and its transaction has ended: now it is found.
    if (isUniqueViolation(error)) return attempt()
    throw error
  })
  if (isNew) {
    const { tenantId } = ctx
    deps.bus.publish(membershipChanged, {
      tenantId,
      conversationId: input.conversationId,
      joined: [ctx.userId, ...others],
      left: [],
    })
    deps.bus.publish(conversationChanged, { tenantId, conversationId: input.conversationId })
  }
  return conversation
}

function createOrRepeat(deps: ConversationDeps, ctx: Ctx, input: Input, others: readonly UserId[]) {
  return deps.appender.change(ctx, input.conversationId, async (tx, log) => {
    const grant = await deps.access.authorize(tx, ctx, 'conversation.create')
    const isNew = log.end === undefined
    if (isNew) await create(deps, tx, ctx, grant, log, input, others)
    else await assertRepeat(deps, tx, ctx, grant, input)
    const conversation = await readConversation(deps, tx, ctx, input.conversationId)
    const records = subjectsOf(conversation).map((subjectUserId) => ({
      action: 'conversation.create' as const,
      resource: { type: 'conversation', id: input.conversationId },
      subjectUserId,
      details: { kind: input.kind, members: [ctx.userId, ...others], ...(isNew ? {} : { repeat: true }) },
    }))
    await deps.recordAudit(tx, ctx, records)
    return { conversation, isNew }
  })
}

async function create(
  deps: ConversationDeps,
  tx: Tx,
  ctx: Ctx,
  grant: Grant<'conversation.create', Ctx['tenantId']>,
  log: OpenLog,
  input: Input,
  others: readonly UserId[],
): Promise<void> {
  const names = await getKnownUsers(deps, tx, ctx, input, others)
  const { conversationId } = input
  const subjectUserId = input.subjectUserId ?? onlyPatient(input, names)
  const key = await deps.keys.createConversationKey(tx, ctx.tenantId, conversationId, subjectUserId)
  const at = deps.clock.now()
  const inserted = await insertConversation(tx, grant, {
    conversationId,
    kind: input.kind,
    mode: input.mode,
    titleEncrypted:
      input.title === null
        ? null
        : deps.sealer.seal(key, titleContext(ctx.tenantId, conversationId), Buffer.from(input.title)),
    subjectUserId,
    history: input.history,
    keyEpoch: key.epoch,
    creationHash: await creationHash(deps, tx, ctx, input),
    createdAt: at,
  })
  if (!inserted) throw problem('conversations/id-taken')
  const joining = { conversationId, joinedSeq: 1, firstVisibleSeq: 1, lastCountable: 0, at }
  await insertMembers(tx, ctx.tenantId, grant, { ...joining, userIds: [ctx.userId], memberRole: 'manager' })
  if (others.length > 0)
    await insertMembers(tx, ctx.tenantId, grant, { ...joining, userIds: others, memberRole: 'participant' })
  const end = { conversationId, lastSeq: 0, lastCountable: 0, closed: false, keyEpoch: key.epoch, subjectUserId }
  await log.append(end, {
    entryId: deps.ids.next(),
    kind: 'membership',
    header: { counts: false, priority: 'routine', notify: 'silent' },
    payload: { v: 1, type: 'membership', change: 'created', userIds: [ctx.userId, ...others] },
    clientSentAt: null,
  })
  await updateMemberCount(tx, ctx.tenantId, conversationId)
}

/** What one patient and one of the staff write to each other is about the patient, whether somebody says so or not. */
function onlyPatient({ kind }: Input, names: ReadonlyMap<UserId, RosterName>): UserId | null {
  const patients = [...names].filter(([, { role }]) => role === 'patient')
  return kind === 'direct' && patients.length === 1 ? patients[0]![0] : null
}

async function getKnownUsers(
  deps: ConversationDeps,
  tx: Tx,
  ctx: Ctx,
  input: Input,
  others: readonly UserId[],
): Promise<ReadonlyMap<UserId, RosterName>> {
  const asked = [ctx.userId, ...others, ...(input.subjectUserId === null ? [] : [input.subjectUserId])]
  const names = await deps.findUserNames(tx, ctx.tenantId, asked)
  if (!asked.every((userId) => names.get(userId)?.active)) throw problem('conversations/unknown-user')
  if (input.subjectUserId !== null && names.get(input.subjectUserId)?.role !== 'patient') {
    throw problem('platform/invalid-input', { errors: [{ pointer: '/subjectUserId', message: 'not a patient' }] })
  }
  return names
}

async function assertRepeat(
  deps: ConversationDeps,
  tx: Tx,
  ctx: Ctx,
  grant: Grant<'conversation.create', Ctx['tenantId']>,
  input: Input,
): Promise<void> {
  const known = await findCreationHash(tx, grant, input.conversationId)
  if (known === undefined || !constantTimeEqual(known, await creationHash(deps, tx, ctx, input)))
    throw problem('conversations/id-taken')
}

async function creationHash(deps: ConversationDeps, tx: Tx, ctx: Ctx, input: Input): Promise<Buffer> {
  const { kind, mode, title, subjectUserId, history, memberIds } = input
  const key = await deps.keys.getIndexKey(tx, ctx.tenantId, 'idempotency')
  return keyedHash(key, 'conversation', JSON.stringify([kind, mode, title, subjectUserId, history, memberIds]))
}
