import type { ConversationId, DeviceId, EntryHeader, EntryId, EntryKind, TenantId, UserId } from '@sotto/protocol'
import { statement, type Tx } from '../../platform/db/tx.ts'
import type { Instant } from '../../platform/time/clock.ts'
import type { LogEnd, StoredEntry } from './conversation.model.ts'

interface LogEndRow {
  readonly conversation_id: ConversationId
  readonly last_seq: number
  readonly last_countable: number
  readonly closed: boolean
  readonly key_epoch: number
  readonly subject_user_id: UserId | null
}

const lockLogs = statement<LogEndRow>(
  'log.lock',
  `select conversation_id, last_seq, last_countable, closed, key_epoch, subject_user_id
   from conversation
   where tenant_id = $1 and conversation_id = any($2::uuid[])
   order by conversation_id
   for no key update skip locked`,
)

/**
 * Locks conversations in sorted order and says where their logs end. From here on nobody else appends to them. One that
 * another transaction holds is missing, as one that does not exist is: `findConversationIds` tells them apart.
 */
export async function lockConversationLogs(
  tx: Tx,
  tenantId: TenantId,
  ids: readonly ConversationId[],
): Promise<ReadonlyMap<ConversationId, LogEnd>> {
  const rows = await tx.rows(lockLogs, [tenantId, [...new Set(ids)].toSorted()])
  return new Map(
    rows.map((row) => [
      row.conversation_id,
      {
        conversationId: row.conversation_id,
        lastSeq: row.last_seq,
        lastCountable: row.last_countable,
        closed: row.closed,
        keyEpoch: row.key_epoch,
        subjectUserId: row.subject_user_id,
      },
    ]),
  )
}

const findIds = statement<{ conversation_id: ConversationId }>(
  'log.find-conversations',
  'select conversation_id from conversation where tenant_id = $1 and conversation_id = any($2::uuid[])',
)

/** Which of these exist, whoever holds them. */
export async function findConversationIds(
  tx: Tx,
  tenantId: TenantId,
  ids: readonly ConversationId[],
): Promise<ReadonlySet<ConversationId>> {
  return new Set((await tx.rows(findIds, [tenantId, ids])).map((row) => row.conversation_id))
}

export interface KnownEntry {
  readonly conversationId: ConversationId
  readonly deviceId: DeviceId
  readonly entryId: EntryId
  readonly bodyHash: Buffer
  readonly seq: number
  readonly countable: number
  readonly at: Instant
}

// `limit 1` within `lateral` is a fence: each key is found by its index, whatever the planner believes of a table that has
// grown since it was told. Left to itself it may read all entries of the tenant for every batch.
const findKnown = statement<{
  conversation_id: ConversationId
  device_id: DeviceId
  entry_id: EntryId
  body_hash: Buffer
  seq: number
  countable: number
  created_at: Instant
}>(
  'log.find-known',
  `select k.conversation_id, k.device_id, k.entry_id, k.body_hash, k.seq, k.countable, k.created_at
   from unnest($2::uuid[], $3::uuid[], $4::uuid[]) as asked (conversation_id, device_id, entry_id)
   cross join lateral (
     select * from entry_idempotency i
     where i.tenant_id = $1 and i.conversation_id = asked.conversation_id and i.device_id = asked.device_id
       and i.entry_id = asked.entry_id limit 1
   ) k`,
)

export interface EntryKey {
  readonly conversationId: ConversationId
  readonly deviceId: DeviceId
  readonly entryId: EntryId
}

/** Which of these sends have been made before, keyed by conversation, device and entry id. */
export async function findKnownEntries(
  tx: Tx,
  tenantId: TenantId,
  keys: readonly EntryKey[],
): Promise<ReadonlyMap<string, KnownEntry>> {
  const rows = await tx.rows(findKnown, [
    tenantId,
    keys.map((key) => key.conversationId),
    keys.map((key) => key.deviceId),
    keys.map((key) => key.entryId),
  ])
  return new Map(
    rows.map((row) => {
      const known = {
        conversationId: row.conversation_id,
        deviceId: row.device_id,
        entryId: row.entry_id,
        bodyHash: row.body_hash,
        seq: row.seq,
        countable: row.countable,
        at: row.created_at,
      }
      return [entryKey(known), known]
    }),
  )
}

export function entryKey({ conversationId, deviceId, entryId }: EntryKey): string {
  return `${conversationId}/${deviceId}/${entryId}`
}

// `is not distinct from` is `=` that no index knows: the id alone leads to the entry, never a walk along its conversation.
const findTaken = statement<{ conversation_id: ConversationId; entry_id: EntryId }>(
  'log.find-taken',
  `select e.conversation_id, e.entry_id
   from unnest($2::uuid[], $3::uuid[]) as asked (conversation_id, entry_id)
   cross join lateral (
     select conversation_id, entry_id from entry
     where tenant_id = $1 and entry_id = asked.entry_id and conversation_id is not distinct from asked.conversation_id
     limit 1
   ) e`,
)

/** Which entry ids exist already in their conversation, whoever sent them. */
export async function findTakenEntryIds(
  tx: Tx,
  tenantId: TenantId,
  keys: readonly EntryKey[],
): Promise<ReadonlySet<string>> {
  const rows = await tx.rows(findTaken, [
    tenantId,
    keys.map((key) => key.conversationId),
    keys.map((key) => key.entryId),
  ])
  return new Set(rows.map((row) => `${row.conversation_id}/${row.entry_id}`))
}

const insert = statement<never>(
  'log.insert',
  `with item as (
     select * from unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::uuid[], $6::text[], $7::uuid[], $8::uuid[],
       $9::timestamptz[], $10::jsonb[], $11::bytea[], $12::timestamptz[], $13::bytea[])
       as t (conversation_id, seq, countable, entry_id, kind, sender_user_id, sender_device_id, client_sent_at, header,
         body_ciphertext, created_at, body_hash)
   ), appended as (
     insert into entry (tenant_id, conversation_id, seq, countable, entry_id, kind, sender_user_id, sender_device_id,
       client_sent_at, header, body_ciphertext, created_at)
     select $1, conversation_id, seq, countable, entry_id, kind, sender_user_id, sender_device_id, client_sent_at, header,
       body_ciphertext, created_at
     from item
   ), remembered as (
     insert into entry_idempotency (tenant_id, conversation_id, device_id, entry_id, body_hash, seq, countable, created_at)
     select $1, conversation_id, sender_device_id, entry_id, body_hash, seq, countable, created_at
     from item where body_hash is not null
   ), sent as (
     update member m set sent_countable = m.sent_countable + s.sent
     from (
       select conversation_id, sender_user_id, count(*) as sent
       from item where (header ->> 'counts')::boolean group by conversation_id, sender_user_id
     ) s
     where m.tenant_id = $1 and m.conversation_id = s.conversation_id and m.user_id = s.sender_user_id
   )
   update conversation c
   set last_seq = l.last_seq, last_countable = l.last_countable, last_entry_at = l.last_entry_at, change = this_change()
   from (
     select conversation_id, max(seq) as last_seq, max(countable) as last_countable, max(created_at) as last_entry_at
     from item group by conversation_id
   ) l
   where c.tenant_id = $1 and c.conversation_id = l.conversation_id`,
)

export interface PlacedEntry extends StoredEntry {
  /** Only of sends that may be repeated. */
  readonly bodyHash: Buffer | null
}

/** Appends entries that have their places, remembers their keys, and moves the ends of their logs, in one statement that travels with the commit. */
export function insertEntries(tx: Tx, tenantId: TenantId, entries: readonly PlacedEntry[]): void {
  tx.send(insert, [
    tenantId,
    entries.map((entry) => entry.conversationId),
    entries.map((entry) => entry.seq),
    entries.map((entry) => entry.countable),
    entries.map((entry) => entry.entryId),
    entries.map((entry) => entry.kind),
    entries.map((entry) => entry.senderUserId),
    entries.map((entry) => entry.senderDeviceId),
    entries.map((entry) => (entry.clientSentAt === null ? null : new Date(entry.clientSentAt))),
    entries.map((entry) => JSON.stringify(entry.header)),
    entries.map((entry) => entry.bodyCiphertext),
    entries.map((entry) => new Date(entry.at)),
    entries.map((entry) => entry.bodyHash),
  ])
}

interface EntryRow {
  readonly conversation_id: ConversationId
  readonly seq: number
  readonly countable: number
  readonly entry_id: EntryId
  readonly kind: EntryKind
  readonly sender_user_id: UserId
  readonly sender_device_id: DeviceId
  readonly created_at: Instant
  readonly client_sent_at: Instant | null
  readonly header: EntryHeader
  readonly body_ciphertext: Buffer | null
}

export const entryColumns = `e.conversation_id, e.seq, e.countable, e.entry_id, e.kind, e.sender_user_id, e.sender_device_id,
  e.created_at, e.client_sent_at, e.header, e.body_ciphertext`

export function toStoredEntry(row: EntryRow): StoredEntry {
  return {
    conversationId: row.conversation_id,
    seq: row.seq,
    countable: row.countable,
    entryId: row.entry_id,
    kind: row.kind,
    senderUserId: row.sender_user_id,
    senderDeviceId: row.sender_device_id,
    at: row.created_at,
    clientSentAt: row.client_sent_at,
    header: row.header,
    bodyCiphertext: row.body_ciphertext,
  }
}

const listAscending = statement<EntryRow>(
  'log.list-after',
  `select ${entryColumns} from entry e
   where e.tenant_id = $1 and e.conversation_id = $2 and e.seq > $3 and e.seq < $4
   order by e.seq limit $5`,
)
const listDescending = statement<EntryRow>(
  'log.list-before',
  `select ${entryColumns} from entry e
   where e.tenant_id = $1 and e.conversation_id = $2 and e.seq > $3 and e.seq < $4
   order by e.seq desc limit $5`,
)

export interface LogRange {
  readonly conversationId: ConversationId
  /** Exclusive bounds. */
  readonly afterSeq: number
  readonly beforeSeq: number
  readonly limit: number
  /** Which end of the range to take when it is longer than the limit. */
  readonly from: 'start' | 'end'
}

/** @returns the entries in order of seq */
export async function listLogEntries(tx: Tx, tenantId: TenantId, range: LogRange): Promise<readonly StoredEntry[]> {
  const values = [tenantId, range.conversationId, range.afterSeq, range.beforeSeq, range.limit]
  const rows = await tx.rows(range.from === 'start' ? listAscending : listDescending, values)
  const entries = rows.map(toStoredEntry)
  return range.from === 'start' ? entries : entries.toReversed()
}
