/** Time is a parameter: the ambient clock is banned outside this folder, so that every rule can be tested at any instant. */

declare const instantBrand: unique symbol

/** Milliseconds since the Unix epoch, UTC. */
export type Instant = number & { readonly [instantBrand]: true }

export interface Clock {
  /** The wall clock: what is written into records. May jump. */
  now(): Instant
  /** Milliseconds that only grow: what durations and timeouts are measured with. */
  monotonicMs(): number
}

export const systemClock: Clock = {
  now: () => Date.now() as Instant,
  monotonicMs: () => performance.now(),
}

export function instant(ms: number): Instant {
  return ms as Instant
}

let last = { ms: 0, text: new Date(0).toISOString() }

/** RFC 3339, UTC, milliseconds: the one form of an instant on the wire. */
export function toRfc3339(at: Instant | Date): string {
  const ms = at.valueOf()
  // All of a batch have the same instant, each several times.
  if (ms !== last.ms) last = { ms, text: new Date(ms).toISOString() }
  return last.text
}
