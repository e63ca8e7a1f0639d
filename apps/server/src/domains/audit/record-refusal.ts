import type { AuditAction } from '@sotto/protocol'
import { scopeOf, type AnonymousCtx, type Ctx } from '../../platform/context/context.ts'
import type { Db } from '../../platform/db/tx.ts'
import type { Clock } from '../../platform/time/clock.ts'
import { recordAudit, type RecordDeps } from './record-audit.ts'
import type { AuditRecord } from './audit-event.model.ts'

/** Equal refusals that are recorded one by one before they are only counted, and for how long they are counted. */
export const REFUSALS_SINGLE_MAX = 5
export const REFUSAL_WINDOW_MS = 10_000
const WINDOWS_MAX = 10_000

export interface Refusal {
  readonly action: AuditAction
  /** The true reason. */
  readonly code: string
  readonly resource?: NonNullable<AuditRecord['resource']>
}

interface Window {
  readonly ctx: Ctx | AnonymousCtx
  readonly refusal: Refusal
  readonly endsAtMs: number
  seen: number
  counted: number
}

export interface Refusals {
  /** @throws DatabaseUnavailable when it cannot be recorded: then the caller answers that instead of the refusal */
  record(ctx: Ctx | AnonymousCtx, refusal: Refusal): Promise<void>
  /** Writes the counts of windows that have ended, or of all when the server stops. */
  flush(all?: boolean): Promise<void>
}

/**
 * Records refusals in a transaction of their own. A flood of equal ones (same actor or address, action, reason) costs a few
 * records and then one with a count for each window, so that refusing is never a way to fill the disk.
 */
export function createRefusals(deps: RecordDeps & { readonly db: Db; readonly clock: Clock }): Refusals {
  const windows = new Map<string, Window>()

  async function write(ctx: Ctx | AnonymousCtx, refusal: Refusal, count: number): Promise<void> {
    await deps.db.withTx(scopeOf(ctx), (tx) =>
      recordAudit(deps, tx, ctx, [{ ...refusal, outcome: 'refused', count } as AuditRecord]),
    )
  }

  async function flush(all = false): Promise<void> {
    const nowMs = deps.clock.monotonicMs()
    for (const [key, window] of windows) {
      if (!all && nowMs < window.endsAtMs) continue
      windows.delete(key)
      if (window.counted > 0) await write(window.ctx, window.refusal, window.counted)
    }
  }

  return {
    async record(ctx, refusal) {
      const key = [ctx.tenantId, ctx.sessionId ?? ctx.address ?? '', refusal.action, refusal.code].join('|')
      const window = windows.get(key)
      if (window !== undefined && deps.clock.monotonicMs() < window.endsAtMs) {
        window.seen++
        if (window.seen <= REFUSALS_SINGLE_MAX) return write(ctx, refusal, 1)
        window.counted++
        return
      }
      if (window !== undefined || windows.size >= WINDOWS_MAX) await flush(windows.size >= WINDOWS_MAX)
      windows.set(key, { ctx, refusal, endsAtMs: deps.clock.monotonicMs() + REFUSAL_WINDOW_MS, seen: 1, counted: 0 })
      await write(ctx, refusal, 1)
    },
    flush,
  }
}
