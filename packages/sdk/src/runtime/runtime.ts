import type { ConversationId } from '@sotto/protocol'
import type { Clock } from '../platform/clock.ts'
import { fraction, type Random } from '../platform/random.ts'
import { initialState, type Effect, type Input, type SyncState } from '../sync/state.ts'
import { step } from '../sync/sync-engine.ts'

/** What changed in one step. */
export interface Change {
  readonly before: SyncState
  readonly after: SyncState
  readonly touched: ReadonlySet<ConversationId>
}

/** Runs the sync engine against the real clock: one input after another, effects after each, one timer. */
export interface Runtime {
  getState(): SyncState
  dispatch(input: Input): void
  /** Stops the timer; later inputs are ignored. */
  stop(): void
}

export interface RuntimeDeps {
  readonly clock: Clock
  readonly random: Random
  perform(effect: Effect): void
  onChange(change: Change): void
}

export function createRuntime(deps: RuntimeDeps): Runtime {
  const { clock } = deps
  const env = { random: () => fraction(deps.random) }
  const inputs: Input[] = []
  let state = initialState
  let running = false
  let stopped = false
  let cancelTimer = (): void => {}
  let timerAt: number | null = null

  function setTimer(at: number | null): void {
    if (at === timerAt) return
    cancelTimer()
    timerAt = at
    if (at === null) return
    cancelTimer = clock.setTimer(Math.max(0, at - clock.monotonicMs()), () => {
      timerAt = null
      dispatch({ type: 'tick' })
    })
  }

  /** An input that comes while another is handled, from a listener for instance, waits for its turn. */
  function dispatch(input: Input): void {
    if (stopped) return
    inputs.push(input)
    if (running) return
    running = true
    try {
      for (let next = inputs.shift(); next !== undefined; next = inputs.shift()) {
        const before = state
        const stepped = step(before, next, { ...env, now: clock.monotonicMs() })
        state = stepped.state
        setTimer(stepped.nextTickAt)
        for (const effect of stepped.effects) deps.perform(effect)
        deps.onChange({ before, after: state, touched: stepped.touched })
      }
    } finally {
      running = false
    }
  }

  return {
    getState: () => state,
    dispatch,
    stop() {
      stopped = true
      cancelTimer()
    },
  }
}
