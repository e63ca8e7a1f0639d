import type { KeyObject } from 'node:crypto'
import { createBoundedMap } from '../../platform/crypto/bounded-map.ts'
import type { DataKey } from '../../platform/crypto/envelope.ts'
import type { Tx } from '../../platform/db/tx.ts'
import type { Clock } from '../../platform/time/clock.ts'

/** For how long a process may go on with a key after it was destroyed or disabled elsewhere, if no hint reaches it. */
export const KEY_FRESH_MS_MAX = 5 * 60 * 1000

export const CACHED_KEYS_MAX = 20_000

/** Never kept: read in a transaction that may still roll back. What is derived from it is not kept either. */
export const NOT_FRESH_MS = 0

export interface CachedKey {
  readonly dataKey: DataKey
  /** On the monotonic clock. What is derived from several keys is fresh as long as the first of them to age. */
  readonly freshUntilMs: number
}

/** Unwrapped keys of one process: bounded, ageing, dropped per tenant. Nothing in it is ever written anywhere. */
export interface KeyCache {
  /** @returns what is kept under this id, or what `load` gives */
  remember(id: string, load: () => Promise<CachedKey>): Promise<CachedKey>
  /** Until when a key that is read now may be kept. */
  freshUntilMs(): number
  /**
   * Keys that this transaction reads are not kept from now on: it has written keys itself, and when it rolls back another
   * key may come to stand in the same place. Sealing with one that never was committed would lose data at the next start.
   */
  distrust(tx: Tx): void
  isTrusted(tx: Tx): boolean
  /** Drops what begins like this, and what is being loaded at this moment. */
  forget(idPrefix: string): void
}

export function createKeyCache(clock: Clock, keysMax = CACHED_KEYS_MAX): KeyCache {
  const keys = createBoundedMap<CachedKey>(keysMax)
  const distrusted = new WeakSet<Tx>()
  let forgets = 0
  return {
    async remember(id, load) {
      const known = keys.get(id)
      if (known !== undefined && clock.monotonicMs() < known.freshUntilMs) return known
      const forgetsBefore = forgets
      const loaded = await load()
      if (forgets === forgetsBefore && clock.monotonicMs() < loaded.freshUntilMs) keys.set(id, loaded)
      return loaded
    },
    freshUntilMs: () => clock.monotonicMs() + KEY_FRESH_MS_MAX,
    distrust: (tx) => void distrusted.add(tx),
    isTrusted: (tx) => !distrusted.has(tx),
    forget(idPrefix) {
      forgets++
      keys.deleteWhere((_, id) => id.startsWith(idPrefix))
    },
  }
}

/** A key made from others is as fresh as the first of its sources to age. */
export function derivedFrom(
  id: string,
  epoch: number,
  key: KeyObject,
  ...sources: readonly (CachedKey | undefined)[]
): CachedKey {
  const freshUntilMs = Math.min(...sources.map((source) => source?.freshUntilMs ?? Infinity))
  return { dataKey: { id, epoch, key }, freshUntilMs }
}
