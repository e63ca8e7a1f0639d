import type { ConversationId, TenantId } from '@sotto/protocol'
import { anonymous, scopeOf, type Ctx } from '../../platform/context/context.ts'
import { createGroupCommit, type Verdict } from '../../platform/db/group-commit.ts'
import type { Db, LaneTx } from '../../platform/db/tx.ts'
import type { Ids } from '../../platform/ids/ids.ts'
import { problem } from '../../platform/problem/problem.ts'
import { instant, type Clock } from '../../platform/time/clock.ts'
import type { AuditItem } from '../audit/index.ts'
import { BATCH_MAX, QUEUE_MAX } from './append.ts'
import type { AppendDeps } from './append-batch.ts'
import {
  beatNode,
  closeDeliveryRows,
  deleteDeadNodes,
  insertDeliveries,
  listOrphanedDeliveries,
  purgeExpiredRows,
  type ClosedDelivery,
  type NewDelivery,
} from './delivery-store.ts'

/** A node that has not said for this long that it lives is dead, and what it left open is closed for it. */
export const NODE_DEAD_AFTER_MS = 60_000
const ORPHANS_PER_SWEEP = 1_000

/**
 * Live delivery is an act of reading (architecture §3): one audited subscription per device and conversation, opened before
 * the first byte is sent and closed with the last seq delivered. Cost follows what is delivered, not how many conversations
 * a user has.
 */
export interface Deliveries {
  /**
   * Durability: resolves after the commit; nothing may be sent before.
   * @returns its id; undefined when the user is no member now
   */
  open(ctx: Ctx, conversationId: ConversationId, fromSeq: number): Promise<string | undefined>
  close(
    tenantId: TenantId,
    closing: readonly { readonly ctx: Ctx; readonly deliveryId: string; readonly lastSeq: number }[],
  ): Promise<void>
  /** Says that this node lives, and closes what dead ones left open. Whatever they may have sent counts as sent. */
  sweep(): Promise<void>
  /** Deletes what has served its time. */
  purgeExpired(): Promise<void>
}

interface Opening {
  readonly ctx: Ctx
  readonly delivery: NewDelivery
}

export function createDeliveries(
  deps: AppendDeps & { readonly db: Db; readonly ids: Ids; readonly clock: Clock; readonly nodeId: string },
): Deliveries {
  const commits = createGroupCommit<Opening, string | undefined>({
    db: deps.db,
    clock: deps.clock,
    batchMax: BATCH_MAX,
    queueMax: QUEUE_MAX,
    overloaded: () => problem('platform/unavailable'),
    run: (tx, items) => openBatch(deps, tx, items),
    onError: (error) => deps.log.warn('fan-out.failed', {}, error),
  })
  return {
    open(ctx, conversationId, fromSeq) {
      const { userId, deviceId, sessionId } = ctx
      return commits.submit(conversationId, {
        ctx,
        delivery: { deliveryId: deps.ids.next(), conversationId, userId, deviceId, sessionId, fromSeq },
      })
    },
    async close(tenantId, closing) {
      await deps.db.withTx(scopeOf({ tenantId }), async (tx) => {
        const contexts = new Map(closing.map((one) => [one.deliveryId, one.ctx]))
        const rows = await closeDeliveryRows(tx, tenantId, deps.clock.now(), closing)
        await deps.recordAuditItems(
          tx,
          tenantId,
          rows.map((row) => ({ ctx: contexts.get(row.delivery_id)!, record: closeRecord(row, false) })),
        )
      })
    },
    sweep: () => sweep(deps),
    purgeExpired: () => deps.db.withTx({ role: 'jobs' }, purgeExpiredRows),
  }
}

async function openBatch(
  deps: AppendDeps & { readonly nodeId: string },
  tx: LaneTx,
  items: readonly Opening[],
): Promise<readonly Verdict<string | undefined>[]> {
  const answers = new Map<string, string>()
  const tenants = Map.groupBy(items, ({ ctx }) => ctx.tenantId)
  for (const [tenantId, group] of [...tenants].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    tx.enterTenant(tenantId)
    const opened = await insertDeliveries(
      tx,
      tenantId,
      deps.nodeId,
      deps.clock.now(),
      group.map(({ delivery }) => delivery),
    )
    const audit: AuditItem[] = group
      .filter(({ delivery }) => opened.has(delivery.deliveryId))
      .map(({ ctx, delivery }) => ({
        ctx,
        record: {
          action: 'delivery.open',
          resource: { type: 'conversation', id: delivery.conversationId },
          subjectUserId: opened.get(delivery.deliveryId) ?? null,
          details: { deliveryId: delivery.deliveryId, fromSeq: delivery.fromSeq },
        },
      }))
    await deps.recordAuditItems(tx, tenantId, audit)
    for (const deliveryId of opened.keys()) answers.set(deliveryId, deliveryId)
  }
  return items.map(({ delivery }) => ({ answer: answers.get(delivery.deliveryId) }))
}

function closeRecord(row: ClosedDelivery, interrupted: boolean) {
  return {
    action: 'delivery.close' as const,
    resource: { type: 'conversation', id: row.conversation_id },
    subjectUserId: row.subject_user_id,
    details: {
      deliveryId: row.delivery_id,
      fromSeq: row.from_seq,
      lastSeq: row.last_seq,
      userId: row.user_id,
      deviceId: row.device_id,
      interrupted,
    },
  }
}

async function sweep(deps: AppendDeps & { readonly nodeId: string }): Promise<void> {
  const aliveSince = instant(deps.clock.now() - NODE_DEAD_AFTER_MS)
  const orphans = await deps.db.withTx({ role: 'jobs' }, async (tx) => {
    await beatNode(tx, deps.nodeId, deps.clock.now())
    return listOrphanedDeliveries(tx, deps.nodeId, aliveSince, ORPHANS_PER_SWEEP)
  })
  for (const [tenantId, group] of Map.groupBy(orphans, (orphan) => orphan.tenant_id)) {
    await deps.db.withTx(scopeOf({ tenantId }), async (tx) => {
      const ctx = anonymous({ requestId: `sweep-${deps.nodeId}`, address: null }, tenantId)
      const rows = await closeDeliveryRows(
        tx,
        tenantId,
        deps.clock.now(),
        group.map((orphan) => ({ deliveryId: orphan.delivery_id, lastSeq: null })),
      )
      await deps.recordAuditItems(
        tx,
        tenantId,
        rows.map((row) => ({ ctx, record: closeRecord(row, true) })),
      )
    })
  }
  if (orphans.length < ORPHANS_PER_SWEEP) {
    await deps.db.withTx({ role: 'jobs' }, (tx) => deleteDeadNodes(tx, deps.nodeId, aliveSince))
  }
}
