/**
 * Keeps the embedded engine alive.
 *
 * | state    | entered by                                   | connections and calls                       |
 * | -------- | -------------------------------------------- | ------------------------------------------- |
 * | serving  | a start that worked                          | go to the engine                            |
 * | down     | the engine's death (PANIC, abort, full disk, a call that never ends) | fail at once; it is started again meanwhile |
 * | hopeless | a start that can never work                  | fail at once, for good                      |
 * | stopped  | `stop`                                       | fail at once                                |
 *
 * A PANIC ends a PostgreSQL server, and its postmaster then recovers: this is the postmaster. There is no limit to the
 * attempts, because a fault that lasts (a full disk) is one that ends some day. What another attempt can never mend is
 * hopeless, and the process should end: the database is no longer in the folder, which another start would fill with an
 * empty one, or the session cannot be taken from the superuser, without which there are no walls between tenants.
 */

import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { dbLimits } from '../limits/db-limits.ts'
import type { Clock } from '../time/clock.ts'
import { ClosedStream, startEngine, within, type Engine, type EngineCall } from './embedded-engine.ts'
import { createSigns, SYNCS } from './embedded-signs.ts'
import { FOLDER_GONE } from './first-start.ts'
import { NOT_LOCKED_DOWN } from './engine-session.ts'
import { DatabaseUnavailable } from './errors.ts'

/** What befalls the engine, for the log. */
export type EngineEvent =
  /** It died, or an attempt to start it again failed. `attempt`: 0 for the death, then 1, 2, … */
  | { readonly kind: 'unavailable'; readonly attempt: number; readonly error: unknown }
  | { readonly kind: 'recovered'; readonly attempt: number; readonly durationMs: number }
  /** It was stopped and did not write its checkpoint in time: the next start recovers. */
  | { readonly kind: 'not-checkpointed' }

export interface SupervisorOptions {
  readonly directory: string
  readonly clock: Clock
  /** A single call into the engine that lasts longer ends it. */
  readonly hungAfterMs: number
  /** Makes a started engine ready: the first time, and after each death. */
  prepare(engine: Engine, isFirst: boolean): Promise<void>
  onEvent(event: EngineEvent): void
  /** It is hopeless. */
  onFatal(error: Error): void
}

export interface Supervisor {
  connect(): Duplex
  /** @throws DatabaseUnavailable */
  request(call: EngineCall): Promise<unknown>
  syncCount(): number
  /** @returns `stuck` when a thread may still write into the folder */
  stop(): Promise<'ended' | 'stuck'>
}

/** @throws Error when the first start fails; nothing runs then */
export async function superviseEngine(options: SupervisorOptions): Promise<Supervisor> {
  const { directory, clock } = options
  const signs = createSigns()
  const stopping = new AbortController()
  let serving: Engine | undefined = await begin(true)
  const watching = watch(serving)

  async function begin(isFirst: boolean): Promise<Engine> {
    const engine = await startEngine({ directory, signs, mayCreate: isFirst }, stopping.signal, options.hungAfterMs)
    try {
      await options.prepare(engine, isFirst)
      return engine
    } catch (error) {
      await engine.stop()
      throw error
    }
  }

  async function watch(first: Engine): Promise<void> {
    for (let engine: Engine | undefined = first, failures = 0; engine !== undefined;) {
      const startedMs = clock.monotonicMs()
      await engine.ended
      serving = undefined
      if (stopping.signal.aborted) return
      options.onEvent({ kind: 'unavailable', attempt: 0, error: await whyOf(engine) })
      // One that dies as soon as it serves is not started in a circle: the pause goes on growing.
      if (clock.monotonicMs() - startedMs >= dbLimits.embeddedSteadyMs) failures = 0
      const restarted = await restart(failures)
      failures = restarted.failures
      engine = restarted.engine
    }
  }

  async function restart(before: number): Promise<{ engine: Engine | undefined; failures: number }> {
    const downMs = clock.monotonicMs()
    for (let failures = before, attempt = 1; ; failures++, attempt++) {
      try {
        await delay(pauseMs(failures), undefined, { signal: stopping.signal })
        const engine = await begin(false)
        if (stopping.signal.aborted) {
          await engine.stop()
          return { engine: undefined, failures }
        }
        serving = engine
        options.onEvent({ kind: 'recovered', attempt, durationMs: Math.round(clock.monotonicMs() - downMs) })
        return { engine, failures: failures + 1 }
      } catch (error) {
        if (stopping.signal.aborted) return { engine: undefined, failures }
        options.onEvent({ kind: 'unavailable', attempt, error })
        if (!isHopeless(error)) continue
        options.onFatal(error as Error)
        return { engine: undefined, failures }
      }
    }
  }

  return {
    connect: () => serving?.connect() ?? new ClosedStream(),
    async request(call) {
      if (serving === undefined) throw new DatabaseUnavailable('not-applied', 'engine-down')
      return serving.request(call)
    },
    syncCount: () => Atomics.load(signs, SYNCS),
    async stop() {
      const engine = serving
      stopping.abort()
      const end = await engine?.stop()
      if (end === 'cut' || end === 'stuck') options.onEvent({ kind: 'not-checkpointed' })
      // One that was being started when it was told to stop ends by the signal.
      return Promise.race([watching.then(() => 'ended' as const), within(dbLimits.embeddedCloseMs, 'stuck' as const)])
    },
  }
}

function pauseMs(failures: number): number {
  if (failures === 0) return 0
  return Math.min(dbLimits.embeddedRestartMs * 2 ** (failures - 1), dbLimits.embeddedRestartMsMax)
}

function isHopeless(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { readonly code?: unknown }
    if (code === FOLDER_GONE || code === NOT_LOCKED_DOWN) return true
  }
  return false
}

/** A dead engine answers every call with the reason of its death. */
async function whyOf(engine: Engine): Promise<unknown> {
  return engine.request({ op: 'close' }).catch((error: unknown) => error)
}
