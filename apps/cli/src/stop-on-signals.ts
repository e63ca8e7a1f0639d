/**
 * One Ctrl-C may arrive twice: the terminal signals every process of its group, and npm passes on to its child what it
 * gets itself. Where npm's shell replaces itself by the command (bash does), the server is both. People who mean "at once"
 * press again after they have read that it drains.
 */
export const SAME_SIGNAL_MS = 1_000

export interface SignalSource {
  on(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown
}

export interface StopOptions {
  readonly source: SignalSource
  /** Milliseconds of a clock that nobody sets. */
  nowMs(): number
  drain(): void
  stopAtOnce(): void
}

/**
 * The first signal drains, one that comes `SAME_SIGNAL_MS` or later after it stops at once.
 *
 * @returns aborted from the first signal on
 */
export function stopOnSignals({ source, nowMs, drain, stopAtOnce }: StopOptions): AbortSignal {
  const stopping = new AbortController()
  let firstAtMs = 0
  const onSignal = () => {
    if (stopping.signal.aborted) {
      if (nowMs() - firstAtMs >= SAME_SIGNAL_MS) stopAtOnce()
      return
    }
    firstAtMs = nowMs()
    stopping.abort()
    drain()
  }
  source.on('SIGINT', onSignal)
  source.on('SIGTERM', onSignal)
  return stopping.signal
}
