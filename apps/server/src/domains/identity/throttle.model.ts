import { instant, type Instant } from '../../platform/time/clock.ts'

/**
 * How failed sign-ins slow down the next one. There is no lock-out: care must not wait for an administrator. After a few
 * free failures each further one doubles the wait, up to a maximum; quiet time forgives.
 *
 * | counter | when it counts | against |
 * |---|---|---|
 * | `device` | the device has proved its secret and belongs to the user | guessing at a stolen workstation |
 * | `login-address` | any other device | guessing one person's password |
 * | `login` | any other device | guessing one person's password from many addresses |
 * | `address` | any other device | one password tried on many people |
 *
 * A proven device answers to its own counter only: whoever guesses a nurse's password from elsewhere, even from behind
 * the same address, cannot make her wait at her workstation (NIST SP 800-63B-4 §3.2.2). The counter of a login is one that
 * a single address cannot fill, since that one's own waits are longer than what the login forgives meanwhile; and the wait
 * it makes is short, because whoever comes with a new device shares it with the guessers.
 */
export type CounterKind = 'device' | 'login-address' | 'login' | 'address'

export interface Counter {
  readonly failures: number
  readonly lastFailedAt: Instant
}

interface CounterRule {
  /** Failures that cost nothing: people mistype. */
  readonly free: number
  /** Quiet time that forgives one failure. */
  readonly forgiveMs: number
  /** The longest wait of this counter, where it is shorter than the deployment's. */
  readonly delayMsMax?: number
}

const counterRules: Readonly<Record<CounterKind, CounterRule>> = {
  device: { free: 5, forgiveMs: 60_000 },
  'login-address': { free: 3, forgiveMs: 300_000 },
  login: { free: 20, forgiveMs: 30_000, delayMsMax: 8_000 },
  // Behind one address there may be a whole hospital in the morning.
  address: { free: 30, forgiveMs: 10_000 },
}

const FIRST_DELAY_MS = 1_000

/** What is left of the counted failures after the quiet time since the last one. */
export function failuresNow(kind: CounterKind, counter: Counter, now: Instant): number {
  const forgiven = Math.floor(Math.max(0, now - counter.lastFailedAt) / counterRules[kind].forgiveMs)
  return Math.max(0, counter.failures - forgiven)
}

/** @returns milliseconds until the next attempt is looked at; 0 when it is now */
export function signInWaitMs(kind: CounterKind, counter: Counter, now: Instant, delayMsMax: number): number {
  // Not the forgiven number: the delay that was told stands until it is over.
  const rule = counterRules[kind]
  const beyond = counter.failures - rule.free
  if (beyond <= 0) return 0
  const delayMs = Math.min(delayMsMax, rule.delayMsMax ?? delayMsMax, FIRST_DELAY_MS * 2 ** Math.min(beyond - 1, 30))
  const leftMs = counter.lastFailedAt + delayMs - now
  // A clock that was set back must not turn a delay into a lock-out: who waits is not counted, so a failure far ahead
  // would hold until the clock has caught up with it.
  return leftMs > 2 * delayMs ? 0 : Math.min(delayMs, Math.max(0, leftMs))
}

/** The counter with one more failure: an attempt is counted before it is looked at, so that a volley counts in full. */
export function countAttempt(kind: CounterKind, counter: Counter, now: Instant): Counter {
  return { failures: failuresNow(kind, counter, now) + 1, lastFailedAt: instant(now) }
}

/**
 * How many failures a right attempt takes back: its own count, and all before it where they were made by the same device
 * or at the same address for the same person, and so by somebody who mistyped.
 */
export function forgivenBy(kind: CounterKind): number {
  return kind === 'address' || kind === 'login' ? 1 : FAILURES_MAX
}

/** As many as an `integer` column holds. */
const FAILURES_MAX = 2 ** 31 - 1
