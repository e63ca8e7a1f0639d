import type { Log } from '../platform/log/log.ts'

export interface ErrorSource {
  on(event: 'uncaughtException' | 'unhandledRejection', listener: (error: unknown) => void): unknown
}

export interface LastResortOptions {
  readonly source: ErrorSource
  readonly log: Log
  /** Stops in order, as far as that goes. */
  drain(): Promise<unknown>
  exit(code: number): void
  readonly drainMsMax?: number
}

/** A mistake of ours: the state of the process is not known any more (`sysexits.h`, EX_SOFTWARE). */
export const EXIT_MISTAKE = 70
const DRAIN_MS_MAX = 10_000

/**
 * What nobody has caught ends the process: what it may have left half done in memory is repaired from the database by the
 * next start. Node itself would print the error's message, which may quote what a user wrote; the log keeps where it comes
 * from, and not what it says.
 */
export function endOnUnhandled({ source, log, drain, exit, drainMsMax = DRAIN_MS_MAX }: LastResortOptions): void {
  let isEnding = false

  async function end(error: unknown): Promise<void> {
    log.error('process.unhandled', {}, error)
    if (isEnding) return
    isEnding = true
    setTimeout(() => exit(EXIT_MISTAKE), drainMsMax)
    try {
      await drain()
    } catch (failure) {
      log.error('process.unhandled', {}, failure)
    }
    exit(EXIT_MISTAKE)
  }

  source.on('uncaughtException', (error) => void end(error))
  source.on('unhandledRejection', (error) => void end(error))
}
