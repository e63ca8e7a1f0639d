import { expect, test } from 'vitest'
import { newKey } from '../../platform/crypto/primitives.ts'
import { systemRandom } from '../../platform/ids/ids.ts'
import { instant } from '../../platform/time/clock.ts'
import { createKeyCache, KEY_FRESH_MS_MAX, NOT_FRESH_MS } from './key-cache.ts'
import type { CachedKey, KeyCache } from './key-cache.ts'

function setUp(keysMax?: number) {
  let nowMs = 5
  const clock = { now: () => instant(nowMs), monotonicMs: () => nowMs }
  return { cache: createKeyCache(clock, keysMax), pass: (ms: number) => void (nowMs += ms) }
}

function load(cache: KeyCache, id: string, freshUntilMs = cache.freshUntilMs()): Promise<CachedKey> {
  return cache.remember(id, async () => ({ dataKey: { id, epoch: 1, key: newKey(systemRandom) }, freshUntilMs }))
}

test('a key is kept until it ages, and use does not make it younger', async () => {
  const { cache, pass } = setUp()
  const first = await load(cache, 'a')
  pass(KEY_FRESH_MS_MAX - 1)
  expect(await load(cache, 'a')).toBe(first)
  pass(1)
  expect(await load(cache, 'a')).not.toBe(first)
})

test('what is not to be trusted is not kept', async () => {
  const { cache } = setUp()
  expect(await load(cache, 'a', NOT_FRESH_MS)).not.toBe(await load(cache, 'a', NOT_FRESH_MS))
})

test('forgetting drops what begins alike, and what is being loaded at that moment', async () => {
  const { cache } = setUp()
  const [mine, other] = [await load(cache, 'tenant/1/a'), await load(cache, 'tenant/2/a')]
  const { promise: isRead, resolve: read } = Promise.withResolvers<CachedKey>()
  const loading = cache.remember('tenant/1/b', () => isRead)
  cache.forget('tenant/1/')
  read(mine)
  expect(await loading).toBe(mine)
  expect(await load(cache, 'tenant/1/a')).not.toBe(mine)
  expect(await load(cache, 'tenant/1/b')).not.toBe(mine)
  expect(await load(cache, 'tenant/2/a')).toBe(other)
})

test('a failure to load is not kept', async () => {
  const { cache } = setUp()
  await expect(cache.remember('a', () => Promise.reject(new Error('The keyring is away')))).rejects.toThrow('away')
  expect((await load(cache, 'a')).dataKey.id).toBe('a')
})

test('the number of keys is bounded', async () => {
  const { cache } = setUp(2)
  const [a] = [await load(cache, 'a'), await load(cache, 'b'), await load(cache, 'c')]
  expect(await load(cache, 'a')).not.toBe(a)
})
