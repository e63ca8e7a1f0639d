import type { Log } from '../../platform/log/log.ts'

/** Counts what is turned away without a record, and says so in one line for each while: the flood must not fill the log. */
export interface Dropped {
  count(): void
  /** Says what has not been said yet. */
  flush(): void
}

const EVERY_MS = 1_000

export function createDropped(log: Log): Dropped {
  let dropped = 0
  let timer: NodeJS.Timeout | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    if (dropped > 0) log.warn('socket.dropped', { count: dropped })
    dropped = 0
  }

  return {
    count() {
      dropped++
      timer ??= setTimeout(flush, EVERY_MS).unref()
    },
    flush,
  }
}
