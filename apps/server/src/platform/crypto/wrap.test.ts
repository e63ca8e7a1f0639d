import { createSecretKey } from 'node:crypto'
import { expect, test } from 'vitest'
import { systemRandom } from '../ids/ids.ts'
import { SealBroken, SEAL_OVERHEAD_BYTES, sealEnvelope, encodeHeader, deriveSealingKeys } from './envelope.ts'
import { newKey } from './primitives.ts'
import { createSealer } from './seal.ts'
import { systemClock } from '../time/clock.ts'
import { unwrapKey, wrapKey } from './wrap.ts'

const wrapping = { id: 'root/1', epoch: 1, key: newKey(systemRandom) }
const context = ['tenant', '1']

test('a wrapped key is the same key again, and each wrapping looks different', () => {
  const key = newKey(systemRandom)
  const wrapped = wrapKey(systemRandom, wrapping, context, key)
  expect(wrapped).toHaveLength(SEAL_OVERHEAD_BYTES + 32)
  expect(unwrapKey(wrapping, context, wrapped).equals(key)).toBe(true)
  expect(wrapKey(systemRandom, wrapping, context, key).subarray(5, 37)).not.toEqual(wrapped.subarray(5, 37))
})

test('another wrapping key, epoch, id or context does not unwrap, nor do altered bytes', () => {
  const wrapped = wrapKey(systemRandom, wrapping, context, newKey(systemRandom))
  const refused = [
    () => unwrapKey({ ...wrapping, key: newKey(systemRandom) }, context, wrapped),
    () => unwrapKey({ ...wrapping, epoch: 2 }, context, wrapped),
    () => unwrapKey({ ...wrapping, id: 'root/2' }, context, wrapped),
    () => unwrapKey(wrapping, ['tenant', '2'], wrapped),
    () => unwrapKey(wrapping, context, wrapped.subarray(1)),
  ]
  for (const attempt of refused) expect(attempt).toThrow(SealBroken)
  for (let at = 0; at < wrapped.length; at++) {
    const altered = Buffer.from(wrapped)
    altered[at]! ^= 0x10
    expect(() => unwrapKey(wrapping, context, altered), `byte ${at}`).toThrow(SealBroken)
  }
})

test('a wrapped key is not a sealed text, and the other way round', () => {
  const sealer = createSealer({ random: systemRandom, clock: systemClock })
  const wrapped = wrapKey(systemRandom, wrapping, context, newKey(systemRandom))
  expect(() => sealer.open(wrapping, context, wrapped)).toThrow(SealBroken)
  const sealed = sealer.seal(wrapping, context, Buffer.alloc(32))
  expect(() => unwrapKey(wrapping, context, sealed)).toThrow(SealBroken)
})

test('only keys of 256 bits are wrapped and unwrapped', () => {
  expect(() => wrapKey(systemRandom, wrapping, context, createSecretKey(Buffer.alloc(16)))).toThrow(/256 bits/)
  const salt = systemRandom.bytes(32)
  const derived = deriveSealingKeys('wrap', wrapping, salt)
  const short = sealEnvelope(derived.key, encodeHeader(1, salt, derived.commitment), 0, context, Buffer.alloc(16))
  expect(() => unwrapKey(wrapping, context, short)).toThrow(SealBroken)
})
