import { createBoundedMap, type BoundedMap } from '../crypto/bounded-map.ts'
import type { Clock } from '../time/clock.ts'

/** A bucket of tokens per key: `burst` at once, `perSecond` sustained. */
export interface TokenBuckets {
  /** Takes one. @returns 0, or how many milliseconds until there is one */
  take(key: string): number
  /** Puts one back that was taken for what turned out to cost nothing. */
  giveBack(key: string): void
}

interface Bucket {
  tokens: number
  atMs: number
}

const KEYS_MAX = 100_000

export function createTokenBuckets(
  clock: Clock,
  rate: { readonly perSecond: number; readonly burst: number },
): TokenBuckets {
  const buckets: BoundedMap<Bucket> = createBoundedMap(KEYS_MAX)
  return {
    giveBack(key) {
      const bucket = buckets.get(key)
      if (bucket !== undefined) bucket.tokens = Math.min(rate.burst, bucket.tokens + 1)
    },
    take(key) {
      const nowMs = clock.monotonicMs()
      const bucket = buckets.get(key) ?? { tokens: rate.burst, atMs: nowMs }
      bucket.tokens = Math.min(rate.burst, bucket.tokens + ((nowMs - bucket.atMs) / 1_000) * rate.perSecond)
      bucket.atMs = nowMs
      const isThere = bucket.tokens >= 1
      if (isThere) bucket.tokens -= 1
      buckets.set(key, bucket)
      return isThere ? 0 : Math.ceil(((1 - bucket.tokens) / rate.perSecond) * 1_000)
    },
  }
}
