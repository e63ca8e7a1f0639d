import type { Log } from '../platform/log/log.ts'
import type { Composition } from './compose.ts'

/** What runs by the clock. Each job may run on every node; each does its work in transactions and may be repeated. */
export interface Jobs {
  stop(): void
  idle(): Promise<void>
}

interface Job {
  readonly name: string
  readonly everyMs: number
  run(): Promise<void>
}

export function startJobs(composition: Composition, log: Log): Jobs {
  const timers: NodeJS.Timeout[] = []
  const running = new Set<Promise<void>>()
  for (const job of listJobs(composition)) {
    let isRunning = false
    const timer = setInterval(() => {
      if (isRunning) return
      isRunning = true
      const run = job
        .run()
        .catch((error: unknown) => log.warn('job.failed', { operation: job.name }, error))
        .finally(() => {
          isRunning = false
          running.delete(run)
        })
      running.add(run)
    }, job.everyMs)
    timer.unref()
    timers.push(timer)
  }
  return {
    stop: () => timers.forEach(clearInterval),
    async idle() {
      await Promise.all(running)
    },
  }
}

function listJobs(composition: Composition): readonly Job[] {
  const { audit, deliveries, endings, identity, sessionWatch } = composition
  return [
    { name: 'flush-refusals', everyMs: 10_000, run: () => audit.flushRefusals() },
    { name: 'sweep-deliveries', everyMs: 20_000, run: () => deliveries.sweep() },
    { name: 'retry-endings', everyMs: 5_000, run: () => endings.retry() },
    { name: 'watch-sessions', everyMs: 10_000, run: () => sessionWatch.sweep() },
    { name: 'purge-identity', everyMs: 600_000, run: () => identity.purgeExpired() },
    { name: 'purge-conversations', everyMs: 600_000, run: () => deliveries.purgeExpired() },
  ]
}
