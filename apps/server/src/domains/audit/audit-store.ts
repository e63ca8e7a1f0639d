import type { AuditAction, AuditOutcome, TenantId, UserId } from '@sotto/protocol'
import { statement, type Tx } from '../../platform/db/tx.ts'
import type { Instant } from '../../platform/time/clock.ts'

/** An audit event as it stands at rest: a commitment, keyed indexes, and the sealed body apart. */
export interface AuditRow {
  readonly auditEventId: string
  readonly at: Instant
  readonly class: string
  readonly outcome: string
  readonly commitment: Buffer
  readonly actorIndex: Buffer | null
  readonly subjectIndex: Buffer | null
  readonly resourceIndex: Buffer | null
  /** Whose key it takes to open the body; null: the tenant's alone, which need not mean that it is about nobody. */
  readonly subjectUserId: string | null
  readonly bodyEncrypted: Buffer
}

const insert = statement<never>(
  'audit.insert',
  `with item as (
     select * from unnest($2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::bytea[], $7::bytea[], $8::bytea[], $9::bytea[], $10::bytea[], $11::uuid[])
       as t (audit_event_id, created_at, class, outcome, commitment, actor_index, subject_index, resource_index, body_encrypted, subject_user_id)
   ), event as (
     insert into audit_event (tenant_id, created_at, audit_event_id, class, outcome, day, commitment, actor_index, subject_index, resource_index)
     select $1, created_at, audit_event_id, class, outcome, (created_at at time zone 'UTC')::date, commitment, actor_index, subject_index, resource_index
     from item
   )
   insert into audit_body (tenant_id, created_at, audit_event_id, body_encrypted, subject_user_id)
   select $1, created_at, audit_event_id, body_encrypted, subject_user_id from item`,
)

/** Inserts the rows of one tenant in one statement, which travels with the commit. */
export function insertAuditRows(tx: Tx, tenantId: TenantId, rows: readonly AuditRow[]): void {
  tx.send(insert, [
    tenantId,
    rows.map((row) => row.auditEventId),
    rows.map((row) => new Date(row.at)),
    rows.map((row) => row.class),
    rows.map((row) => row.outcome),
    rows.map((row) => row.commitment),
    rows.map((row) => row.actorIndex),
    rows.map((row) => row.subjectIndex),
    rows.map((row) => row.resourceIndex),
    rows.map((row) => row.bodyEncrypted),
    rows.map((row) => row.subjectUserId),
  ])
}

export interface StoredAuditEvent {
  readonly audit_event_id: string
  readonly created_at: Instant
  readonly commitment: Buffer
  readonly class: AuditAction
  readonly outcome: AuditOutcome
  readonly body_encrypted: Buffer | null
  readonly subject_user_id: UserId | null
}

export interface AuditFilter {
  readonly actorIndex: Buffer | null
  readonly subjectIndex: Buffer | null
  readonly resourceIndex: Buffer | null
  readonly class: string | null
  readonly outcome: string | null
  readonly from: Instant | null
  readonly to: Instant | null
  /** Older than this event. */
  readonly before: { readonly at: Instant; readonly auditEventId: string } | null
  readonly limit: number
}

const columns = `e.audit_event_id, e.created_at, e.commitment, e.class, e.outcome, b.body_encrypted, b.subject_user_id`

const list = statement<StoredAuditEvent>(
  'audit.list',
  `select ${columns}
   from audit_event e left join audit_body b using (tenant_id, created_at, audit_event_id)
   where e.tenant_id = $1
     and ($2::bytea is null or e.actor_index = $2)
     and ($3::bytea is null or e.subject_index = $3)
     and ($4::bytea is null or e.resource_index = $4)
     and ($5::text is null or e.class = $5)
     and ($6::text is null or e.outcome = $6)
     and e.created_at >= coalesce($7::timestamptz, '-infinity')
     and e.created_at <= coalesce($8::timestamptz, 'infinity')
     and ($9::timestamptz is null or (e.created_at, e.audit_event_id) < ($9, $10::uuid))
   order by e.created_at desc, e.audit_event_id desc
   limit $11`,
)

export async function listAuditRows(
  tx: Tx,
  tenantId: TenantId,
  filter: AuditFilter,
): Promise<readonly StoredAuditEvent[]> {
  return tx.rows(list, [
    tenantId,
    filter.actorIndex,
    filter.subjectIndex,
    filter.resourceIndex,
    filter.class,
    filter.outcome,
    filter.from === null ? null : new Date(filter.from),
    filter.to === null ? null : new Date(filter.to),
    filter.before === null ? null : new Date(filter.before.at),
    filter.before?.auditEventId ?? null,
    filter.limit,
  ])
}

const find = statement<StoredAuditEvent>(
  'audit.find',
  `select ${columns}
   from audit_event e left join audit_body b using (tenant_id, created_at, audit_event_id)
   where e.tenant_id = $1 and e.created_at = $2 and e.audit_event_id = $3`,
)

/** @param at  the event's instant: its UUIDv7 carries the same millisecond */
export async function findAuditRow(
  tx: Tx,
  tenantId: TenantId,
  at: Instant,
  auditEventId: string,
): Promise<StoredAuditEvent | undefined> {
  const [row] = await tx.rows(find, [tenantId, new Date(at), auditEventId])
  return row
}
