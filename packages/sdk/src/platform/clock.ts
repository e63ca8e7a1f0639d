/**
 * Time is a parameter, so that every rule of the SDK can be tested at any instant and at any speed.
 *
 * The device's wall clock may be wrong by years. It is used only for what people are shown (`clientSentAt`) and for
 * the birth of ids; durations, back-off and expiry use the monotonic clock, and server times are only compared with
 * server times.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch by the device's clock. May be wrong, may jump. */
  now(): number
  /** Milliseconds that only grow. */
  monotonicMs(): number
  /** Runs `run` once after `delayMs`. @returns cancels it */
  setTimer(delayMs: number, run: () => void): () => void
}

/** Longer delays overflow the timers of every platform and would fire at once. */
const TIMER_MS_MAX = 2_147_483_647

/** The device's own clocks. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer: (delayMs, run) => {
    const timer = setTimeout(run, Math.min(Math.max(0, delayMs), TIMER_MS_MAX))
    return () => clearTimeout(timer)
  },
}
