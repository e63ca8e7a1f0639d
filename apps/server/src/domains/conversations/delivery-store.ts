import type { ConversationId, DeviceId, SessionId, TenantId, UserId } from '@sotto/protocol'
import { statement, type Tx } from '../../platform/db/tx.ts'
import type { Instant } from '../../platform/time/clock.ts'

export interface NewDelivery {
  readonly deliveryId: string
  readonly conversationId: ConversationId
  readonly userId: UserId
  readonly deviceId: DeviceId
  readonly sessionId: SessionId
  readonly fromSeq: number
}

const open = statement<{ delivery_id: string; subject_user_id: UserId | null }>(
  'delivery.open',
  `with asked as (
     select * from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::bigint[])
       as t (delivery_id, conversation_id, user_id, device_id, session_id, from_seq)
   ), allowed as (
     select a.*, c.subject_user_id
     from asked a
     join conversation c on c.tenant_id = $1 and c.conversation_id = a.conversation_id
     join member m on m.tenant_id = $1 and m.conversation_id = a.conversation_id and m.user_id = a.user_id and m.left_seq is null
   ), opened as (
     insert into delivery (tenant_id, delivery_id, conversation_id, user_id, device_id, session_id, node_id, from_seq, created_at)
     select $1, delivery_id, conversation_id, user_id, device_id, session_id, $8, from_seq, $9 from allowed
   )
   select delivery_id, subject_user_id from allowed`,
)

/** Opens deliveries of those who are members now. @returns which were opened, with the patient each conversation is about */
export async function insertDeliveries(
  tx: Tx,
  tenantId: TenantId,
  nodeId: string,
  at: Instant,
  deliveries: readonly NewDelivery[],
): Promise<ReadonlyMap<string, UserId | null>> {
  const rows = await tx.rows(open, [
    tenantId,
    deliveries.map((one) => one.deliveryId),
    deliveries.map((one) => one.conversationId),
    deliveries.map((one) => one.userId),
    deliveries.map((one) => one.deviceId),
    deliveries.map((one) => one.sessionId),
    deliveries.map((one) => one.fromSeq),
    nodeId,
    new Date(at),
  ])
  return new Map(rows.map((row) => [row.delivery_id, row.subject_user_id]))
}

export interface ClosedDelivery {
  readonly delivery_id: string
  readonly conversation_id: ConversationId
  readonly user_id: UserId
  readonly device_id: DeviceId
  readonly session_id: SessionId
  readonly from_seq: number
  readonly last_seq: number
  readonly subject_user_id: UserId | null
}

const close = statement<ClosedDelivery>(
  'delivery.close',
  `update delivery d set closed_at = $4, last_seq = coalesce(asked.last_seq, c.last_seq)
   from unnest($2::uuid[], $3::bigint[]) as asked (delivery_id, last_seq), conversation c
   where d.tenant_id = $1 and d.delivery_id = asked.delivery_id and d.closed_at is null
     and c.tenant_id = $1 and c.conversation_id = d.conversation_id
   returning d.delivery_id, d.conversation_id, d.user_id, d.device_id, d.session_id, d.from_seq, d.last_seq, c.subject_user_id`,
)

/** @param deliveries.lastSeq  the last seq delivered; null when nobody knows: then all there is counts as delivered */
export async function closeDeliveryRows(
  tx: Tx,
  tenantId: TenantId,
  at: Instant,
  deliveries: readonly { readonly deliveryId: string; readonly lastSeq: number | null }[],
): Promise<readonly ClosedDelivery[]> {
  return tx.rows(close, [
    tenantId,
    deliveries.map((one) => one.deliveryId),
    deliveries.map((one) => one.lastSeq),
    new Date(at),
  ])
}

const beat = statement<never>(
  'node.beat',
  `insert into node (node_id, beat_at) values ($1, $2) on conflict (node_id) do update set beat_at = excluded.beat_at`,
)

export async function beatNode(tx: Tx, nodeId: string, at: Instant): Promise<void> {
  await tx.run(beat, [nodeId, new Date(at)])
}

const orphans = statement<{ tenant_id: TenantId; delivery_id: string }>(
  'delivery.list-orphans',
  `select d.tenant_id, d.delivery_id from delivery d
   where d.closed_at is null and d.node_id <> $1
     and not exists (select 1 from node n where n.node_id = d.node_id and n.beat_at >= $2)
   order by d.tenant_id limit $3`,
)

/** Deliveries that a dead node left open. */
export async function listOrphanedDeliveries(tx: Tx, nodeId: string, aliveSince: Instant, limit: number) {
  return tx.rows(orphans, [nodeId, new Date(aliveSince), limit])
}

const purgeNodes = statement<never>('node.purge', `delete from node where node_id <> $1 and beat_at < $2`)

export async function deleteDeadNodes(tx: Tx, nodeId: string, aliveSince: Instant): Promise<void> {
  await tx.run(purgeNodes, [nodeId, new Date(aliveSince)])
}

const purgeDeliveries = statement<never>(
  'delivery.purge',
  `delete from delivery where closed_at < now() - interval '1 day'`,
)
const purgeKeys = statement<never>(
  'log.purge-keys',
  `delete from entry_idempotency where created_at < now() - interval '30 days'`,
)

/** Forgets closed deliveries, whose audit events stay, and the keys of sends that nobody repeats any more. */
export async function purgeExpiredRows(tx: Tx): Promise<void> {
  await Promise.all([tx.run(purgeDeliveries), tx.run(purgeKeys)])
}
