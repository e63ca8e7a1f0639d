import type { AuditAction, UserId } from '@sotto/protocol'
import { scopeOf, type AnonymousCtx, type Ctx } from '../../platform/context/context.ts'
import type { Db } from '../../platform/db/tx.ts'
import { addressGroup } from '../../platform/limits/address-group.ts'
import type { Clock } from '../../platform/time/clock.ts'
import { recordAudit, type RecordDeps } from './record-audit.ts'
import type { AuditRecord } from './audit-event.model.ts'

/** Equal refusals that are recorded one by one before they are only counted, and for how long they are counted. */
export const REFUSALS_SINGLE_MAX = 5
export const REFUSAL_WINDOW_MS = 10_000
const WINDOWS_MAX = 10_000
/** Of a flood over many things, so many are named. */
export const FLOOD_RESOURCES_MAX = 50

export interface Refusal {
  readonly action: AuditAction
  /** The true reason. */
  readonly code: string
  readonly resource?: NonNullable<AuditRecord['resource']>
  /** The patient whom the refused act concerned. */
  readonly subjectUserId?: UserId | null
  /** `failed`: it was not refused, the server could not do it. */
  readonly outcome?: 'refused' | 'failed'
}

/** A flood of equal refusals. Those that are only counted are told in one record when the window is over. */
interface Window {
  readonly ctx: Ctx | AnonymousCtx
  readonly action: AuditAction
  readonly code: string
  readonly outcome: 'refused' | 'failed'
  readonly endsAtMs: number
  /** Recorded one by one. */
  recorded: number
  /** Records under way: what comes behind them is only counted once they are durable. */
  readonly underWay: Set<Promise<void>>
  counted: number
  readonly resources: Map<string, NonNullable<AuditRecord['resource']>>
  readonly subjects: Set<UserId | null>
}

export interface Refusals {
  /** @throws DatabaseUnavailable when it cannot be recorded: then the caller answers that instead of the refusal */
  record(ctx: Ctx | AnonymousCtx, refusal: Refusal): Promise<void>
  /** Writes the counts of windows that have ended, or of all when the server stops. What cannot be written is kept. */
  flush(all?: boolean): Promise<void>
}

/**
 * Records refusals in a transaction of their own. A flood of equal ones (same session or network, action, reason) costs a few
 * records and then one with a count for each window, so that refusing is never a way to fill the disk. A count lives in
 * memory until its window is over; only a killed process loses it, and then at most what came after the single records.
 */
export function createRefusals(deps: RecordDeps & { readonly db: Db; readonly clock: Clock }): Refusals {
  const windows = new Map<string, Window>()
  /** Windows that are over and whose count is not written yet. */
  const ended = new Set<Window>()

  async function write(ctx: Ctx | AnonymousCtx, record: AuditRecord): Promise<void> {
    await deps.db.withTx(scopeOf(ctx), (tx) => recordAudit(deps, tx, ctx, record))
  }

  async function writeCount(window: Window): Promise<void> {
    ended.delete(window)
    try {
      await write(window.ctx, countRecord(window))
    } catch (error) {
      ended.add(window)
      throw error
    }
  }

  function endWindows(all: boolean): void {
    const nowMs = deps.clock.monotonicMs()
    for (const [key, window] of windows) {
      if (!all && nowMs < window.endsAtMs) continue
      windows.delete(key)
      if (window.counted > 0) ended.add(window)
    }
  }

  async function flush(all = false): Promise<void> {
    endWindows(all)
    for (const window of ended) await writeCount(window)
  }

  function openWindow(key: string, ctx: Ctx | AnonymousCtx, { action, code, outcome = 'refused' }: Refusal): Window {
    const nowMs = deps.clock.monotonicMs()
    const known = windows.get(key)
    if (known !== undefined && nowMs < known.endsAtMs) return known
    if (known !== undefined || windows.size >= WINDOWS_MAX) endWindows(windows.size >= WINDOWS_MAX)
    const window: Window = {
      ctx,
      action,
      code,
      outcome,
      endsAtMs: nowMs + REFUSAL_WINDOW_MS,
      recorded: 0,
      underWay: new Set(),
      counted: 0,
      resources: new Map(),
      subjects: new Set(),
    }
    windows.set(key, window)
    return window
  }

  async function recordOne(window: Window, ctx: Ctx | AnonymousCtx, refusal: Refusal): Promise<void> {
    const record = { ...refusal, outcome: window.outcome }
    const writing = (ended.size > 0 ? flush() : Promise.resolve()).then(() => write(ctx, record))
    window.underWay.add(writing)
    try {
      await writing
      window.recorded++
    } finally {
      window.underWay.delete(writing)
    }
  }

  return {
    async record(ctx, refusal) {
      const key = [ctx.tenantId, ctx.sessionId ?? addressGroup(ctx.address), refusal.action, refusal.code].join('|')
      const window = openWindow(key, ctx, refusal)
      while (window.recorded < REFUSALS_SINGLE_MAX) {
        if (window.recorded + window.underWay.size < REFUSALS_SINGLE_MAX) return recordOne(window, ctx, refusal)
        // Who comes behind shares their fate: what they could not record cannot be counted on.
        await Promise.race(window.underWay)
      }
      count(window, refusal)
    },
    flush,
  }
}

function count(window: Window, { resource, subjectUserId }: Refusal): void {
  window.counted++
  if (resource !== undefined && window.resources.size < FLOOD_RESOURCES_MAX) window.resources.set(resource.id, resource)
  if (window.subjects.size < 2) window.subjects.add(subjectUserId ?? null)
}

/** A flood on one thing names it like any other record; one over many things lists them, as far as they are kept. */
function countRecord({ action, code, outcome, counted, resources, subjects }: Window): AuditRecord {
  const record = { action, code, outcome, count: counted }
  const [only, another] = resources.values()
  const [subject = null] = subjects
  if (only === undefined) return record
  if (another === undefined) return { ...record, resource: only, subjectUserId: subjects.size === 1 ? subject : null }
  return { ...record, details: { resources: [...resources.keys()] } }
}
