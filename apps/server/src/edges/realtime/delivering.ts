import type { ConversationId, TenantId } from '@sotto/protocol'
import type { Ctx } from '../../platform/context/context.ts'
import type { Log } from '../../platform/log/log.ts'
import type { Connection } from './connection.ts'
import type { Endings } from './endings.ts'
import type { EncodedFrame } from './outgoing.ts'

/** The audited subscriptions of the conversations room (architecture §3, "reading is an act"). */
export interface DeliveryRecords {
  open(ctx: Ctx, conversationId: ConversationId, fromSeq: number): Promise<string | undefined>
  close(
    tenantId: TenantId,
    closing: readonly { readonly ctx: Ctx; readonly deliveryId: string; readonly lastSeq: number }[],
  ): Promise<void>
}

/** An entry on its way to sockets. */
export interface DueFrame {
  readonly seq: number
  readonly frame: EncodedFrame
}

/** Puts entries on sockets, each conversation after its subscription is durable: no record, no byte. */
export interface Delivering {
  /** @param due  in the order of the log, not empty */
  deliver(connection: Connection, conversationId: ConversationId, due: readonly DueFrame[]): void
  /** Ends delivery of one conversation, or of all because the socket has closed, and records how far it came. */
  end(connection: Connection, conversationId?: ConversationId): void
  /** Resolves when every opening is recorded, or could not be, and every ending is at least kept. */
  idle(): Promise<void>
}

export function createDelivering(deps: {
  readonly records: DeliveryRecords
  readonly endings: Endings
  readonly log: Log
}): Delivering {
  /** Openings that are not durable yet. */
  const pending = new Set<Promise<void>>()
  /** Closed sockets: an entry that was being opened for them must not open a subscription that nobody would end. */
  const gone = new WeakSet<Connection>()

  function track(work: Promise<void>): void {
    pending.add(work)
    void work.then(() => pending.delete(work))
  }

  async function open(connection: Connection, conversationId: ConversationId, due: readonly DueFrame[]): Promise<void> {
    const { seq } = due[0]!
    const waiting = [...due]
    const opening = { kind: 'opening' as const, waiting }
    connection.deliveries.set(conversationId, opening)
    let deliveryId: string | undefined
    try {
      deliveryId = await deps.records.open(connection.ctx, conversationId, seq)
    } catch (error) {
      deps.log.warn('socket.failed', { requestId: connection.id }, error)
      if (connection.deliveries.get(conversationId) === opening) connection.deliveries.delete(conversationId)
      return connection.close(4503)
    }
    // It may have been ended meanwhile, and even begun anew.
    const isCurrent = connection.deliveries.get(conversationId) === opening
    if (deliveryId === undefined) return void (isCurrent && connection.deliveries.delete(conversationId))
    if (!isCurrent) return record(connection.ctx, [{ deliveryId, lastSeq: seq - 1 }])
    const delivery = { kind: 'open' as const, deliveryId, lastSeq: 0 }
    connection.deliveries.set(conversationId, delivery)
    put(connection, delivery, waiting)
  }

  function put(connection: Connection, delivery: { lastSeq: number }, due: readonly DueFrame[]): void {
    for (const { seq, frame } of due) {
      connection.outgoing.send(frame)
      delivery.lastSeq = seq
    }
  }

  function record(ctx: Ctx, ended: readonly { readonly deliveryId: string; readonly lastSeq: number }[]): void {
    if (ended.length === 0) return
    const closing = ended.map((one) => ({ ctx, ...one }))
    deps.endings.record(() => deps.records.close(ctx.tenantId, closing))
  }

  return {
    deliver(connection, conversationId, due) {
      if (gone.has(connection)) return
      const delivery = connection.deliveries.get(conversationId)
      if (delivery === undefined) track(open(connection, conversationId, due))
      else if (delivery.kind === 'opening') delivery.waiting.push(...due)
      else put(connection, delivery, due)
    },
    end(connection, conversationId) {
      if (conversationId === undefined) gone.add(connection)
      const ended: { deliveryId: string; lastSeq: number }[] = []
      for (const [id, delivery] of connection.deliveries) {
        if (conversationId !== undefined && id !== conversationId) continue
        connection.deliveries.delete(id)
        if (delivery.kind === 'open') ended.push({ deliveryId: delivery.deliveryId, lastSeq: delivery.lastSeq })
      }
      record(connection.ctx, ended)
    },
    async idle() {
      while (pending.size > 0) await Promise.all(pending)
      await deps.endings.idle()
    },
  }
}
