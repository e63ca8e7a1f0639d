/** What all fuzzing shares: how much, from which seed, and what the server's process must not do meanwhile. */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { expect } from 'vitest'

const isLong = process.env['SOTTO_TEST_LONG'] === '1'
/** Full counts are a hundred times as many. */
export const share = (count: number): number => (isLong ? count * 100 : count)

export function readSeed(): number {
  const given = Number(process.env['SOTTO_TEST_SEED'])
  const seed = Number.isSafeInteger(given) && given > 0 ? given : Date.now() % 2 ** 31
  process.stdout.write(`fuzzing from SOTTO_TEST_SEED=${seed}\n`)
  return seed
}

export function draw<T>(arbitrary: fc.Arbitrary<T>, seed: number, count: number): readonly T[] {
  return fc.sample(arbitrary, { seed: seed | 0, numRuns: count })
}

/** Works through a list, some at a time. */
export async function eachOf<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values()
  const worker = async () => {
    for (const item of waiting) await work(item)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/** Watches the process in which the server runs: nothing may go unhandled, and nobody may be warned. */
export function watchProcess(): Disposable & { readonly seen: readonly string[] } {
  const seen: string[] = []
  const note = (kind: string) => (error: unknown) =>
    void seen.push(`${kind}: ${error instanceof Error ? error.stack : String(error)}`)
  const listeners = {
    unhandledRejection: note('unhandled rejection'),
    uncaughtExceptionMonitor: note('uncaught'),
    warning: note('warning'),
  }
  for (const [event, listener] of Object.entries(listeners)) process.on(event, listener)
  return {
    seen,
    [Symbol.dispose]() {
      for (const [event, listener] of Object.entries(listeners)) process.off(event, listener)
    },
  }
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes that are in use after everything that can go has gone. */
export async function measureHeap(): Promise<number> {
  for (let times = 0; times < 3; times++) {
    collect()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

/** Caches have bounds of their own; what grows with the number of requests passes this. */
const GROWTH_MAX = (isLong ? 400 : 80) * 2 ** 20

export function expectBounded(before: number, after: number): void {
  expect(after - before, 'bytes in use after garbage collection').toBeLessThan(GROWTH_MAX)
}
