import {
  limitDefaults,
  type Conversation,
  type ConversationId,
  type MovedCursor,
  type TenantId,
  type UserId,
} from '@sotto/protocol'
import type { Ctx } from '../../platform/context/context.ts'
import { sealedEpoch } from '../../platform/crypto/seal.ts'
import type { Tx } from '../../platform/db/tx.ts'
import { toRfc3339 } from '../../platform/time/clock.ts'
import { listCapabilities, type SessionFacts } from '../access/index.ts'
import { noticeTampering } from '../keys/index.ts'
import type { ConversationDeps, RosterName } from './conversations.deps.ts'
import type { SummaryRow } from './conversation-store.ts'
import { countUnread, type StoredEntry } from './conversation.model.ts'
import { findReadableKey, renderEntry, type BodyDeps } from './render-entry.ts'

export function titleContext(tenantId: TenantId, conversationId: ConversationId): readonly string[] {
  return ['conversation-title', tenantId, conversationId, '1']
}

type RenderDeps = BodyDeps & Pick<ConversationDeps, 'findUserNames'>
type Names = ReadonlyMap<UserId, RosterName>

/** Renders conversations as their member sees them. The names in all of them are read in one statement. */
export async function renderConversations(
  deps: RenderDeps,
  tx: Tx,
  ctx: Ctx,
  session: SessionFacts,
  rows: readonly SummaryRow[],
): Promise<Conversation[]> {
  const userIds = new Set(rows.flatMap(({ counterpart_user_id: userId }) => (userId === null ? [] : [userId])))
  const names: Names = userIds.size === 0 ? new Map() : await deps.findUserNames(tx, ctx.tenantId, [...userIds])
  const conversations = []
  for (const row of rows) conversations.push(await renderConversation(deps, tx, ctx, session, row, names))
  return conversations
}

/**
 * Whom the reading of a summary is recorded with: the patient it is about, and the patient whose name it shows, so that
 * either can learn later who saw it (45 CFR 164.528).
 */
export function subjectsOf({
  subjectUserId,
  counterpart,
}: Pick<Conversation, 'subjectUserId' | 'counterpart'>): readonly (UserId | null)[] {
  if (counterpart?.role !== 'patient' || counterpart.userId === subjectUserId) return [subjectUserId]
  return subjectUserId === null ? [counterpart.userId] : [subjectUserId, counterpart.userId]
}

async function renderConversation(
  deps: BodyDeps,
  tx: Tx,
  ctx: Ctx,
  session: SessionFacts,
  row: SummaryRow,
  names: Names,
): Promise<Conversation> {
  return {
    conversationId: row.conversation_id,
    kind: row.kind,
    mode: row.mode,
    title: await openTitle(deps, tx, ctx.tenantId, row),
    subjectUserId: row.subject_user_id,
    history: row.history,
    closed: row.closed,
    createdAt: toRfc3339(row.conversation_created_at),
    memberCount: row.member_count,
    counterpart: renderCounterpart(row, names),
    lastSeq: row.last_seq,
    firstVisibleSeq: row.first_visible_seq,
    lastEntryAt: row.last_entry_at === null ? null : toRfc3339(row.last_entry_at),
    lastEntry: row.seq === null ? null : await renderEntry(deps, tx, ctx.tenantId, lastEntryOf(row, row.seq)),
    cursor: renderCursor(ctx, row),
    can: [...listCapabilities(session, offerOf(row))],
    notForEmergencies: session.role === 'patient',
  }
}

function renderCounterpart({ counterpart_user_id: userId }: SummaryRow, names: Names): Conversation['counterpart'] {
  const name = userId === null ? undefined : names.get(userId)
  if (userId === null || name === undefined) return null
  return { userId, displayName: name.displayName.reveal(), role: name.role }
}

async function openTitle(deps: BodyDeps, tx: Tx, tenantId: TenantId, row: SummaryRow): Promise<string | null> {
  const { conversation_id: id, title_encrypted: sealed } = row
  if (sealed === null) return null
  return noticeTampering({ kind: 'title', id }, async () => {
    const key = await findReadableKey(deps, tx, tenantId, id, sealedEpoch(sealed))
    return key === undefined ? null : deps.sealer.open(key, titleContext(tenantId, id), sealed).toString('utf8')
  })
}

function renderCursor(ctx: Ctx, row: SummaryRow): MovedCursor {
  return {
    userId: ctx.userId,
    deliveredSeq: row.delivered_seq,
    readSeq: row.read_seq,
    unread: countUnread(row.last_countable, {
      readCountable: row.read_countable,
      sentCountable: row.sent_countable,
      readSentCountable: row.read_sent_countable,
    }),
    asOfSeq: row.last_seq,
  }
}

function offerOf(row: SummaryRow) {
  return {
    conversationId: row.conversation_id,
    memberRole: row.member_role,
    closed: row.closed,
    kind: row.kind,
    subjectUserId: row.subject_user_id,
    firstVisibleSeq: row.first_visible_seq,
    lastSeq: row.last_seq,
    keyEpoch: 0,
    memberCount: row.member_count,
    hasOtherManager: row.has_other_manager,
    membersMax: limitDefaults.conversationMembersMax,
  }
}

function lastEntryOf(row: SummaryRow, seq: number): StoredEntry {
  return {
    conversationId: row.conversation_id,
    seq,
    countable: row.countable,
    entryId: row.entry_id,
    kind: row.entry_kind,
    senderUserId: row.sender_user_id,
    senderDeviceId: row.sender_device_id,
    at: row.created_at,
    clientSentAt: row.client_sent_at,
    header: row.header,
    bodyCiphertext: row.body_ciphertext,
  }
}
