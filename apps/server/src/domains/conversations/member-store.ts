import type { ConversationId, MemberRole, TenantId, UserId } from '@sotto/protocol'
import { statement, type Tx } from '../../platform/db/tx.ts'
import type { Grant } from '../../platform/grant/grant.ts'
import type { Instant } from '../../platform/time/clock.ts'

const upsert = statement<{ user_id: UserId }>(
  'member.upsert',
  `insert into member (tenant_id, conversation_id, user_id, member_role, joined_seq, first_visible_seq, delivered_seq, read_seq,
     read_countable, joined_at)
   select $1, $2, user_id, $4, $5, $6, $5, $5, $7, $8 from unnest($3::uuid[]) as added (user_id)
   order by user_id
   on conflict (tenant_id, conversation_id, user_id) do update
     set member_role = excluded.member_role, joined_seq = excluded.joined_seq, left_seq = null,
       first_visible_seq = excluded.first_visible_seq, delivered_seq = greatest(member.delivered_seq, excluded.delivered_seq),
       read_seq = excluded.read_seq, read_countable = excluded.read_countable,
       read_sent_countable = member.sent_countable, change = this_change(), joined_at = excluded.joined_at
     where member.left_seq is not null
   returning user_id`,
)

export interface Joining {
  readonly conversationId: ConversationId
  readonly userIds: readonly UserId[]
  readonly memberRole: MemberRole
  /** Where the entry that announces them stands; their cursors begin there, with nothing unread. */
  readonly joinedSeq: number
  readonly firstVisibleSeq: number
  readonly lastCountable: number
  readonly at: Instant
}

/** Adds members, or takes back those who had left. @returns who was not a member before */
export async function insertMembers(
  tx: Tx,
  tenantId: TenantId,
  _grant: Grant<'member.add', ConversationId> | Grant<'conversation.create', TenantId>,
  joining: Joining,
): Promise<readonly UserId[]> {
  const rows = await tx.rows(upsert, [
    tenantId,
    joining.conversationId,
    joining.userIds,
    joining.memberRole,
    joining.joinedSeq,
    joining.firstVisibleSeq,
    joining.lastCountable,
    new Date(joining.at),
  ])
  return rows.map((row) => row.user_id)
}

const promote = statement<{ user_id: UserId }>(
  'member.promote',
  `update member set member_role = 'manager', change = this_change()
   where tenant_id = $1 and conversation_id = $2 and user_id = any($3::uuid[]) and left_seq is null
     and member_role <> 'manager'
   returning user_id`,
)

/** Makes members managers. @returns who was none before */
export async function promoteMembers(
  tx: Tx,
  tenantId: TenantId,
  grant: Grant<'member.add', ConversationId>,
  userIds: readonly UserId[],
): Promise<readonly UserId[]> {
  if (userIds.length === 0) return []
  return (await tx.rows(promote, [tenantId, grant.resourceId, userIds])).map((row) => row.user_id)
}

const leave = statement<never>(
  'member.leave',
  `update member set left_seq = $4, change = this_change()
   where tenant_id = $1 and conversation_id = $2 and user_id = $3 and left_seq is null`,
)

export async function endMembership(
  tx: Tx,
  tenantId: TenantId,
  grant: { readonly resourceId: ConversationId },
  userId: UserId,
  leftSeq: number,
): Promise<boolean> {
  return (await tx.run(leave, [tenantId, grant.resourceId, userId, leftSeq])) === 1
}

const setCount = statement<{ member_count: number; managers: number }>(
  'member.set-count',
  `with now as (
     select count(*)::int as members, count(*) filter (where member_role = 'manager')::int as managers
     from member where tenant_id = $1 and conversation_id = $2 and left_seq is null
   )
   update conversation c set member_count = now.members, change = this_change() from now
   where c.tenant_id = $1 and c.conversation_id = $2
   returning c.member_count, now.managers`,
)

/** Counts the members anew, under the lock of the conversation. */
export async function updateMemberCount(
  tx: Tx,
  tenantId: TenantId,
  conversationId: ConversationId,
): Promise<{ readonly members: number; readonly managers: number }> {
  const [row] = await tx.rows(setCount, [tenantId, conversationId])
  return { members: row!.member_count, managers: row!.managers }
}

export interface MemberRow {
  readonly user_id: UserId
  readonly member_role: MemberRole
  readonly joined_at: Instant
}

const list = statement<MemberRow>(
  'member.list',
  `select user_id, member_role, joined_at from member
   where tenant_id = $1 and conversation_id = $2 and left_seq is null and user_id > $3
   order by user_id limit $4`,
)

export async function listMemberRows(
  tx: Tx,
  tenantId: TenantId,
  grant: Grant<'member.list', ConversationId>,
  after: string,
  limit: number,
): Promise<readonly MemberRow[]> {
  return tx.rows(list, [tenantId, grant.resourceId, after, limit])
}

const listIds = statement<{ user_id: UserId; first_visible_seq: number }>(
  'member.list-ids',
  `select user_id, first_visible_seq from member where tenant_id = $1 and conversation_id = $2 and left_seq is null`,
)

/** For delivery by the server itself: to whom, and from which position on. */
export async function listAudience(
  tx: Tx,
  tenantId: TenantId,
  conversationId: ConversationId,
): Promise<ReadonlyMap<UserId, number>> {
  const rows = await tx.rows(listIds, [tenantId, conversationId])
  return new Map(rows.map((row) => [row.user_id, row.first_visible_seq]))
}

const listFellows = statement<{ user_id: UserId }>(
  'member.list-fellows',
  `select distinct other.user_id
   from member mine join member other on other.tenant_id = mine.tenant_id and other.conversation_id = mine.conversation_id
   where mine.tenant_id = $1 and mine.user_id = $2 and mine.left_seq is null and other.left_seq is null`,
)

export async function listFellowMemberIds(tx: Tx, tenantId: TenantId, userId: UserId): Promise<readonly UserId[]> {
  return (await tx.rows(listFellows, [tenantId, userId])).map((row) => row.user_id)
}

export interface CursorRow {
  readonly user_id: UserId
  readonly delivered_seq: number
  readonly read_seq: number
}

const cursors = statement<CursorRow>(
  'member.list-cursors',
  `select user_id, delivered_seq, read_seq from member
   where tenant_id = $1 and conversation_id = $2 and left_seq is null order by user_id limit $3`,
)

export async function listCursorRows(
  tx: Tx,
  tenantId: TenantId,
  grant: Grant<'cursor.list', ConversationId>,
  limit: number,
): Promise<readonly CursorRow[]> {
  return tx.rows(cursors, [tenantId, grant.resourceId, limit])
}

export interface CursorMove {
  readonly conversationId: ConversationId
  readonly userId: UserId
  readonly deliveredSeq: number
  readonly readSeq: number
}

export interface MovedCursorRow {
  readonly conversation_id: ConversationId
  readonly user_id: UserId
  readonly delivered_seq: number
  readonly read_seq: number
  readonly read_countable: number
  readonly sent_countable: number
  readonly read_sent_countable: number
  readonly last_seq: number
  readonly last_countable: number
  readonly subject_user_id: UserId | null
  readonly moved: boolean
}

// One statement moves what moves forward, under locks that are held already. What a member sent between the old and the
// new read cursor is counted once in the life of a membership: the range is read, then never again.
const move = statement<MovedCursorRow>(
  'member.move-cursors',
  `with asked as (
     select t.conversation_id, t.user_id,
       max(greatest(t.delivered_seq, t.read_seq)) filter (where greatest(t.delivered_seq, t.read_seq) <= c.last_seq) as delivered_seq,
       max(t.read_seq) filter (where greatest(t.delivered_seq, t.read_seq) <= c.last_seq) as read_seq
     from unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[]) as t (conversation_id, user_id, delivered_seq, read_seq)
     join conversation c on c.tenant_id = $1 and c.conversation_id = t.conversation_id
     group by t.conversation_id, t.user_id
   ), target as (
     select m.conversation_id, m.user_id, m.delivered_seq as old_delivered, m.read_seq as old_read, m.read_countable,
       m.sent_countable, m.read_sent_countable, c.last_seq, c.last_countable, c.subject_user_id,
       greatest(m.delivered_seq, a.delivered_seq) as delivered_seq, greatest(m.read_seq, a.read_seq) as read_seq
     from asked a
     join member m on m.tenant_id = $1 and m.conversation_id = a.conversation_id and m.user_id = a.user_id and m.left_seq is null
     join conversation c on c.tenant_id = $1 and c.conversation_id = a.conversation_id
   ), counted as (
     select t.*, reached.countable as new_countable, own.sent
     from target t
     left join entry reached on reached.tenant_id = $1 and reached.conversation_id = t.conversation_id and reached.seq = t.read_seq
     left join lateral (
       select count(*) as sent from entry e
       where t.read_seq > t.old_read and e.tenant_id = $1 and e.conversation_id = t.conversation_id
         and e.seq > t.old_read and e.seq <= t.read_seq
         and e.sender_user_id = t.user_id and (e.header ->> 'counts')::boolean
     ) own on true
   ), moved as (
     update member m
     set delivered_seq = n.delivered_seq, read_seq = n.read_seq,
       read_countable = case when n.read_seq > n.old_read then coalesce(n.new_countable, m.read_countable) else m.read_countable end,
       read_sent_countable = m.read_sent_countable + coalesce(n.sent, 0), change = this_change()
     from counted n
     where m.tenant_id = $1 and m.conversation_id = n.conversation_id and m.user_id = n.user_id
       and (n.delivered_seq > n.old_delivered or n.read_seq > n.old_read)
     returning m.conversation_id, m.user_id, m.delivered_seq, m.read_seq, m.read_countable, m.sent_countable, m.read_sent_countable
   )
   select n.conversation_id, n.user_id, coalesce(v.delivered_seq, n.old_delivered) as delivered_seq,
     coalesce(v.read_seq, n.old_read) as read_seq, coalesce(v.read_countable, n.read_countable) as read_countable,
     n.sent_countable, coalesce(v.read_sent_countable, n.read_sent_countable) as read_sent_countable,
     n.last_seq, n.last_countable, n.subject_user_id, v.user_id is not null as moved
   from counted n left join moved v using (conversation_id, user_id)`,
)

/**
 * Moves cursors forward. Several moves of one member (devices that ask at the same moment) become the furthest of them;
 * one that points past the end moves nothing and holds up no other. The members are locked (`lockMembers`).
 *
 * @returns how each member stands now; who is no member is missing
 */
export async function moveCursorRows(
  tx: Tx,
  tenantId: TenantId,
  moves: readonly CursorMove[],
): Promise<readonly MovedCursorRow[]> {
  return tx.rows(move, [
    tenantId,
    moves.map((one) => one.conversationId),
    moves.map((one) => one.userId),
    moves.map((one) => one.deliveredSeq),
    moves.map((one) => one.readSeq),
  ])
}
