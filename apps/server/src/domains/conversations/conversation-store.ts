import type {
  ConversationId,
  DeviceId,
  EntryHeader,
  EntryId,
  EntryKind,
  MemberRole,
  TenantId,
  UserId,
} from '@sotto/protocol'
import { statement, type Tx } from '../../platform/db/tx.ts'
import type { Grant } from '../../platform/grant/grant.ts'
import type { Instant } from '../../platform/time/clock.ts'

export interface MembershipRow {
  readonly conversation_id: ConversationId
  readonly kind: 'direct' | 'group'
  readonly closed: boolean
  readonly subject_user_id: UserId | null
  readonly history: 'full' | 'since-join'
  readonly key_epoch: number
  readonly member_count: number
  readonly last_seq: number
  /** null when the caller is not a member now. */
  readonly member_role: MemberRole | null
  readonly first_visible_seq: number | null
}

const findMembership = statement<MembershipRow>(
  'conversation.find-membership',
  `select c.conversation_id, c.kind, c.closed, c.subject_user_id, c.history, c.key_epoch, c.member_count, c.last_seq,
     m.member_role, m.first_visible_seq
   from conversation c
   left join member m on m.tenant_id = c.tenant_id and m.conversation_id = c.conversation_id
     and m.user_id = $3 and m.left_seq is null
   where c.tenant_id = $1 and c.conversation_id = $2`,
)

/** A conversation as one user stands to it. */
export async function findMembershipRow(
  tx: Tx,
  tenantId: TenantId,
  conversationId: ConversationId,
  userId: UserId,
): Promise<MembershipRow | undefined> {
  const [row] = await tx.rows(findMembership, [tenantId, conversationId, userId])
  return row
}

/** One conversation in a list or a sync: its state, the caller's membership, and the last entry when the caller may read it. */
export interface SummaryRow {
  readonly conversation_id: ConversationId
  readonly kind: 'direct' | 'group'
  readonly mode: 'managed'
  readonly title_encrypted: Buffer | null
  readonly subject_user_id: UserId | null
  readonly history: 'full' | 'since-join'
  readonly closed: boolean
  readonly member_count: number
  readonly last_seq: number
  readonly last_countable: number
  readonly last_entry_at: Instant | null
  readonly conversation_created_at: Instant
  /** The other one of a direct conversation, who may have left. */
  readonly counterpart_user_id: UserId | null
  readonly member_role: MemberRole
  /** Looked for only where the caller manages a group. */
  readonly has_other_manager: boolean
  readonly first_visible_seq: number
  readonly delivered_seq: number
  readonly read_seq: number
  readonly read_countable: number
  readonly sent_countable: number
  readonly read_sent_countable: number
  readonly stamp: number
  readonly left_seq: number | null
  readonly seq: number | null
  readonly countable: number
  readonly entry_id: EntryId
  readonly entry_kind: EntryKind
  readonly sender_user_id: UserId
  readonly sender_device_id: DeviceId
  readonly created_at: Instant
  readonly client_sent_at: Instant | null
  readonly header: EntryHeader
  readonly body_ciphertext: Buffer | null
}

// One by its key for each membership: with `limit` the planner cannot take all conversations of the tenant instead, which
// it likes to as long as they are few.
const conversationOf = `cross join lateral (
     select * from conversation c where c.tenant_id = m.tenant_id and c.conversation_id = m.conversation_id limit 1
   ) c`

const summary = `select c.conversation_id, c.kind, c.mode, c.title_encrypted, c.subject_user_id, c.history, c.closed, c.member_count,
     c.last_seq, c.last_countable, c.last_entry_at, c.created_at as conversation_created_at,
     m.member_role, m.first_visible_seq, m.delivered_seq, m.read_seq, m.read_countable, m.sent_countable, m.read_sent_countable,
     greatest(c.change, m.change) as stamp, m.left_seq,
     case when c.kind = 'direct' then (
       select o.user_id from member o
       where o.tenant_id = m.tenant_id and o.conversation_id = m.conversation_id and o.user_id <> m.user_id limit 1
     ) end as counterpart_user_id,
     c.kind = 'group' and m.member_role = 'manager' and exists (
       select from member o
       where o.tenant_id = m.tenant_id and o.conversation_id = m.conversation_id and o.user_id <> m.user_id
         and o.member_role = 'manager' and o.left_seq is null
     ) as has_other_manager,
     e.seq, e.countable, e.entry_id, e.kind as entry_kind, e.sender_user_id, e.sender_device_id, e.created_at, e.client_sent_at,
     e.header, e.body_ciphertext
   from member m ${conversationOf}
   left join lateral (
     select * from entry e
     where e.tenant_id = c.tenant_id and e.conversation_id = c.conversation_id and e.seq = c.last_seq
       and c.last_seq >= m.first_visible_seq and m.left_seq is null
     limit 1
   ) e on true`

const findOne = statement<SummaryRow>(
  'conversation.find-summary',
  `${summary}
   where m.tenant_id = $1 and m.user_id = $2 and m.conversation_id = $3 and m.left_seq is null`,
)

export async function findSummary(
  tx: Tx,
  tenantId: TenantId,
  userId: UserId,
  conversationId: ConversationId,
): Promise<SummaryRow | undefined> {
  const [row] = await tx.rows(findOne, [tenantId, userId, conversationId])
  return row
}

const listOwn = statement<SummaryRow>(
  'conversation.list-summaries',
  `${summary}
   where m.tenant_id = $1 and m.user_id = $2 and m.left_seq is null and m.conversation_id > $3
   order by m.conversation_id limit $4`,
)

/** In the order of their ids, after the given one. */
export async function listSummaries(
  tx: Tx,
  grant: Grant<'conversation.list', TenantId>,
  after: string,
  limit: number,
): Promise<readonly SummaryRow[]> {
  return tx.rows(listOwn, [grant.resourceId, grant.userId, after, limit])
}

// Which ones first, then what they are. The first looks at two rows of each membership, whether anything changed or not:
// nothing is written per member when somebody sends, and an index with `change` in it would make each send write all indexes
// of its conversation, while without one the update stays in its page (PostgreSQL, "Heap-Only Tuples"). The second, with
// entries, titles and counterparts, reads the page that is answered and nothing else.
const listChanged = statement<SummaryRow>(
  'conversation.list-changed',
  `with changed as materialized (
     select m.conversation_id
     from member m ${conversationOf}
     where m.tenant_id = $1 and m.user_id = $2 and greatest(c.change, m.change) >= $3
       and (greatest(c.change, m.change), m.conversation_id) > ($4, $5::uuid)
       and (m.left_seq is null or (m.change >= $3 and $3 > 0))
     order by greatest(c.change, m.change), m.conversation_id limit $6
   )
   ${summary}
   where m.tenant_id = $1 and m.user_id = $2 and m.conversation_id = any (array(select conversation_id from changed))
   order by greatest(c.change, m.change), m.conversation_id`,
)

export interface ChangedSince {
  readonly since: number
  readonly afterStamp: number
  readonly afterId: string
  readonly limit: number
}

/**
 * What changed since a transaction, oldest change first; memberships that ended are among them, with `left_seq`. Who asks
 * for the first time knows of none that could have ended.
 */
export async function listChangedSummaries(
  tx: Tx,
  grant: Grant<'conversation.sync', TenantId>,
  page: ChangedSince,
): Promise<readonly SummaryRow[]> {
  return tx.rows(listChanged, [grant.resourceId, grant.userId, page.since, page.afterStamp, page.afterId, page.limit])
}

const horizon = statement<{ deployment_id: string; horizon: number }>(
  'conversation.horizon',
  `select deployment_id, oldest_running_change() as horizon from deployment`,
)

/** Everything that commits after this moment bears a change number of at least `horizon`. */
export async function getHorizon(tx: Tx): Promise<{ readonly deploymentId: string; readonly horizon: number }> {
  const [row] = await tx.rows(horizon)
  return { deploymentId: row!.deployment_id, horizon: row!.horizon }
}

const insert = statement<{ conversation_id: ConversationId }>(
  'conversation.insert',
  `insert into conversation (tenant_id, conversation_id, kind, mode, title_encrypted, subject_user_id, history, key_epoch,
     created_by, creation_hash, created_at)
   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
   on conflict do nothing
   returning conversation_id`,
)

export interface NewConversation {
  readonly conversationId: ConversationId
  readonly kind: 'direct' | 'group'
  readonly mode: 'managed'
  readonly titleEncrypted: Buffer | null
  readonly subjectUserId: UserId | null
  readonly history: 'full' | 'since-join'
  readonly keyEpoch: number
  readonly creationHash: Buffer
  readonly createdAt: Instant
}

/** @returns false when the id is taken */
export async function insertConversation(
  tx: Tx,
  grant: Grant<'conversation.create', TenantId>,
  conversation: NewConversation,
): Promise<boolean> {
  const rows = await tx.rows(insert, [
    grant.resourceId,
    conversation.conversationId,
    conversation.kind,
    conversation.mode,
    conversation.titleEncrypted,
    conversation.subjectUserId,
    conversation.history,
    conversation.keyEpoch,
    grant.userId,
    conversation.creationHash,
    new Date(conversation.createdAt),
  ])
  return rows.length === 1
}

const findCreation = statement<{ creation_hash: Buffer; created_by: UserId }>(
  'conversation.find-creation',
  `select creation_hash, created_by from conversation where tenant_id = $1 and conversation_id = $2`,
)

export async function findCreationHash(
  tx: Tx,
  grant: Grant<'conversation.create', TenantId>,
  conversationId: ConversationId,
): Promise<Buffer | undefined> {
  const [row] = await tx.rows(findCreation, [grant.resourceId, conversationId])
  return row?.created_by === grant.userId ? row.creation_hash : undefined
}

const update = statement<never>(
  'conversation.update',
  `update conversation set title_encrypted = case when $3 then $4 else title_encrypted end, closed = coalesce($5, closed),
     change = this_change()
   where tenant_id = $1 and conversation_id = $2`,
)

export interface ConversationChange {
  /** undefined: as it was; null: none. */
  readonly titleEncrypted: Buffer | null | undefined
  readonly closed: boolean | undefined
}

export async function updateConversationRow(
  tx: Tx,
  tenantId: TenantId,
  grant: Grant<'conversation.update', ConversationId>,
  change: ConversationChange,
): Promise<void> {
  await tx.run(update, [
    tenantId,
    grant.resourceId,
    change.titleEncrypted !== undefined,
    change.titleEncrypted ?? null,
    change.closed ?? null,
  ])
}

// Whoever appends or changes has the row for itself (`log.lock`): this waits until that is committed or has not happened.
const awaitRow = statement<never>(
  'conversation.await',
  'select from conversation where tenant_id = $1 and conversation_id = $2 for share',
)

/** Waits for a change of the conversation that may be under way, of a transaction whose answer nobody will get. */
export async function awaitConversation(tx: Tx, tenantId: TenantId, conversationId: ConversationId): Promise<void> {
  await tx.rows(awaitRow, [tenantId, conversationId])
}

export interface LiveMember {
  readonly conversationId: ConversationId
  readonly userId: UserId
}

// Each is found by its key, as in the log's statements (`log-store.ts`): the planner left to itself may compare each of a
// batch with each member of the tenant.
const lockLive = statement<{ conversation_id: ConversationId; user_id: UserId }>(
  'member.lock-live',
  `select asked.conversation_id, asked.user_id
   from (select distinct * from unnest($2::uuid[], $3::uuid[]) as key (conversation_id, user_id) order by 1, 2) asked
   cross join lateral (
     select from member m
     where m.tenant_id = $1 and m.conversation_id = asked.conversation_id and m.user_id = asked.user_id
       and m.left_seq is null limit 1
     for no key update skip locked
   ) m`,
)
const findMembers = statement<{ conversation_id: ConversationId; user_id: UserId }>(
  'member.find-live',
  `select m.conversation_id, m.user_id from member m
   where m.tenant_id = $1 and m.left_seq is null
     and (m.conversation_id, m.user_id) in (select * from unnest($2::uuid[], $3::uuid[]))`,
)

/**
 * Which of these are members now; locked in sorted order, as everyone locks members, because their counts will move. A
 * member whom another transaction holds is missing, as a stranger is: `findLiveMembers` tells them apart.
 */
export async function lockMembers(
  tx: Tx,
  tenantId: TenantId,
  members: readonly LiveMember[],
): Promise<ReadonlySet<string>> {
  return pickMembers(tx, lockLive, tenantId, members)
}

/** Which of these are members now, whoever holds them. */
export async function findLiveMembers(
  tx: Tx,
  tenantId: TenantId,
  members: readonly LiveMember[],
): Promise<ReadonlySet<string>> {
  return pickMembers(tx, findMembers, tenantId, members)
}

async function pickMembers(
  tx: Tx,
  which: typeof lockLive,
  tenantId: TenantId,
  members: readonly LiveMember[],
): Promise<ReadonlySet<string>> {
  const rows = await tx.rows(which, [
    tenantId,
    members.map((member) => member.conversationId),
    members.map((member) => member.userId),
  ])
  return new Set(rows.map((row) => `${row.conversation_id}/${row.user_id}`))
}

const setEpoch = statement<never>(
  'conversation.set-key-epoch',
  `update conversation set key_epoch = $3, change = this_change() where tenant_id = $1 and conversation_id = $2`,
)

export async function setKeyEpoch(
  tx: Tx,
  tenantId: TenantId,
  conversationId: ConversationId,
  keyEpoch: number,
): Promise<void> {
  await tx.run(setEpoch, [tenantId, conversationId, keyEpoch])
}
