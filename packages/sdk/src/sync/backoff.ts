/** Exponential back-off with full jitter: after an outage, clients come back spread over the whole interval. */
export interface Backoff {
  readonly baseMs: number
  readonly maxMs: number
}

export const reconnectBackoff: Backoff = { baseMs: 500, maxMs: 30_000 }
export const retryBackoff: Backoff = { baseMs: 250, maxMs: 30_000 }

/**
 * @param failures  how many attempts failed in a row, from 1
 * @param random    in [0, 1)
 * @param atLeastMs what the server asked for: never earlier than this, and spread behind it
 */
export function backoffMs(backoff: Backoff, failures: number, random: number, atLeastMs = 0): number {
  const ceiling = Math.min(backoff.maxMs, backoff.baseMs * 2 ** Math.min(Math.max(0, failures - 1), 20))
  return Math.round(atLeastMs + random * ceiling)
}
