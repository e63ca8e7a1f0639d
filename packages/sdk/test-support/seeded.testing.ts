import type { Random } from '../src/platform/random.ts'

/** A seeded source of numbers in [0, 1): the same seed, the same run (mulberry32). */
export interface Seeded extends Random {
  next(): number
  /** A whole number in [0, max). */
  below(max: number): number
  chance(probability: number): boolean
  pick<T>(items: readonly T[]): T
}

export function createSeeded(seed: number): Seeded {
  let state = seed >>> 0
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (max: number): number => Math.floor(next() * max)
  return {
    next,
    below,
    chance: (probability) => next() < probability,
    pick: (items) => items[below(items.length)]!,
    bytes: (length) => Uint8Array.from({ length }, () => below(256)),
  }
}
