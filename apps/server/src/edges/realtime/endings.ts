import type { Log } from '../../platform/log/log.ts'

/**
 * The records of what has ended: sockets, and deliveries to them. An end cannot be refused when it cannot be recorded, as an
 * act is; so what could not be written is kept, and written when the database is back. Only a killed process loses it; its
 * deliveries are then closed by another node.
 */
export interface Endings {
  /**
   * @param write  may be called again after a failure, even when only the answer to its commit was lost: an end may be told
   *               twice, and is never untold
   */
  record(write: () => Promise<void>): void
  /** Writes what could not be written before. What fails again is kept. */
  retry(): Promise<void>
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

/** Kept ends; with the database gone every socket of a node may close, some of them more than once. */
const KEPT_MAX = 20_000

export function createEndings(log: Log): Endings {
  const pending = new Set<Promise<void>>()
  let kept: (() => Promise<void>)[] = []

  function attempt(write: () => Promise<void>): Promise<void> {
    const work = write().catch((error: unknown) => {
      const isKept = kept.length < KEPT_MAX
      if (isKept) kept.push(write)
      log.warn(isKept ? 'ending.kept' : 'ending.lost', { count: kept.length }, error)
    })
    pending.add(work)
    return work.finally(() => pending.delete(work))
  }

  return {
    record: (write) => void attempt(write),
    async retry() {
      const again = kept
      kept = []
      // One after the other: when the first fails there is no use in asking for the rest.
      for (const [index, write] of again.entries()) {
        const before = kept.length
        await attempt(write)
        if (kept.length > before) return void kept.push(...again.slice(index + 1))
      }
    },
    async idle() {
      while (pending.size > 0) await Promise.all(pending)
    },
  }
}
