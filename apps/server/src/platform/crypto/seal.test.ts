import { createCipheriv, createSecretKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemRandom } from '../ids/ids.ts'
import { instant } from '../time/clock.ts'
import { deriveSealingKeys, encodeHeader, SEAL_OVERHEAD_BYTES, SealBroken } from './envelope.ts'
import type { DataKey } from './envelope.ts'
import { encodeParts } from './encoding.ts'
import { decryptGcm, exportKey, newKey } from './primitives.ts'
import { CONTEXT_AGE_MS_MAX, createSealer, sealedEpoch, SEALS_PER_CONTEXT_MAX } from './seal.ts'

const context = ['tenant-1', 'conversation-1', 'entry-1', '1']
const text = Buffer.from('Bob: the rash is back since Tuesday')

function newDataKey(id = 'tenant/1/conversation/1/3', epoch = 3): DataKey {
  return { id, epoch, key: newKey(systemRandom) }
}

function fakeClock() {
  let nowMs = 1000
  return {
    now: () => instant(nowMs),
    monotonicMs: () => nowMs,
    pass: (ms: number) => void (nowMs += ms),
  }
}

const newSealer = (clock = fakeClock(), contextsMax = 100) => createSealer({ random: systemRandom, clock, contextsMax })
const saltOf = (sealed: Buffer) => sealed.subarray(5, 37).toString('hex')
const nonceOf = (sealed: Buffer) => sealed.subarray(69, 81).toString('hex')

test('what is sealed opens with the same key and context, in this process and in another', () => {
  const dataKey = newDataKey()
  const sealer = newSealer()
  const sealed = sealer.seal(dataKey, context, text)
  expect(sealed).toHaveLength(text.length + SEAL_OVERHEAD_BYTES)
  expect(sealed.includes('rash')).toBe(false)
  expect(sealedEpoch(sealed)).toBe(3)
  expect(sealer.open(dataKey, context, sealed)).toEqual(text)
  expect(newSealer().open(dataKey, context, new Uint8Array(sealed))).toEqual(text)
})

test('every text and every context come back', () => {
  const dataKey = newDataKey()
  const sealer = newSealer()
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 3000 }),
      fc.array(fc.string({ unit: 'grapheme' })),
      fc.array(fc.string({ unit: 'grapheme' })),
      (plaintext, mine, other) => {
        const sealed = sealer.seal(dataKey, mine, plaintext)
        expect(sealer.open(dataKey, mine, sealed)).toEqual(Buffer.from(plaintext))
        if (JSON.stringify(mine) !== JSON.stringify(other)) {
          expect(() => sealer.open(dataKey, other, sealed)).toThrow(SealBroken)
        }
      },
    ),
  )
})

test('one flipped bit anywhere breaks the seal, whether or not the derived key is known already', () => {
  const dataKey = newDataKey()
  const sealer = newSealer()
  const sealed = sealer.seal(dataKey, context, text)
  sealer.open(dataKey, context, sealed)
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const altered = Buffer.from(sealed)
    altered[bit >> 3]! ^= 1 << (bit & 7)
    expect(() => sealer.open(dataKey, context, altered), `bit ${bit}`).toThrow(SealBroken)
    expect(() => newSealer().open(dataKey, context, altered), `bit ${bit}`).toThrow(SealBroken)
  }
})

test('what is cut short or lengthened does not open', () => {
  const dataKey = newDataKey()
  const sealed = newSealer().seal(dataKey, context, text)
  for (let length = 0; length < sealed.length; length++) {
    expect(() => newSealer().open(dataKey, context, sealed.subarray(0, length))).toThrow(SealBroken)
  }
  expect(() => newSealer().open(dataKey, context, Buffer.concat([sealed, Buffer.alloc(1)]))).toThrow(SealBroken)
  expect(() => sealedEpoch(Buffer.alloc(5))).toThrow(SealBroken)
  const ofAnotherFormat = Buffer.from(sealed)
  ofAnotherFormat[0] = 2
  expect(() => sealedEpoch(ofAnotherFormat)).toThrow(SealBroken)
})

test('another tenant, conversation, entry, version or key does not open it, and the failure says nothing', () => {
  const dataKey = newDataKey()
  const sealer = newSealer()
  const sealed = sealer.seal(dataKey, context, text)
  // From here on the derived key is known, and must not serve whoever comes with another data key.
  expect(sealer.open(dataKey, context, sealed)).toEqual(text)
  for (let part = 0; part < context.length; part++) {
    const elsewhere = context.with(part, 'another')
    expect(() => sealer.open(dataKey, elsewhere, sealed)).toThrow(new SealBroken())
  }
  const wrongKeys = [newDataKey(), { ...dataKey, epoch: 4 }, { ...dataKey, id: 'tenant/2/conversation/1/3' }]
  for (const wrong of wrongKeys) {
    expect(() => sealer.open(wrong, context, sealed)).toThrow(new SealBroken())
    expect(() => newSealer().open(wrong, context, sealed)).toThrow(new SealBroken())
  }
  expect(sealer.open(dataKey, context, sealed)).toEqual(text)
  try {
    sealer.open(dataKey, [], sealed)
    expect.unreachable()
  } catch (error) {
    expect((error as Error).cause).toBeUndefined()
  }
})

describe('key commitment', () => {
  test('a ciphertext that AES-GCM opens under two keys is refused under the second', () => {
    const [first, second] = [newDataKey(), newDataKey()]
    const salt = Buffer.from(systemRandom.bytes(32))
    const [mine, other] = [deriveSealingKeys('seal', first, salt), deriveSealingKeys('seal', second, salt)]
    const header = encodeHeader(3, salt, mine.commitment)
    const associated = Buffer.concat([header, encodeParts(context)])
    const nonce = header.subarray(69, 81)
    const { ciphertext, tag } = openableByBoth(mine.key, other.key, nonce, associated)
    // Mallory's work is sound: AES-GCM alone accepts it under both keys, as two different texts.
    const texts = [mine.key, other.key].map((key) => decryptGcm(key, nonce, associated, ciphertext, tag))
    expect(texts[0]).not.toEqual(texts[1])
    const sealed = Buffer.concat([header, ciphertext, tag])
    expect(newSealer().open(first, context, sealed)).toEqual(texts[0])
    expect(() => newSealer().open(second, context, sealed)).toThrow(SealBroken)
  })

  test('a commitment from another seal is refused', () => {
    const [dataKey, otherKey] = [newDataKey(), newDataKey()]
    const sealer = newSealer()
    const sealed = sealer.seal(dataKey, context, text)
    sealer.seal(otherKey, context, text).copy(sealed, 37, 37, 69)
    expect(() => sealer.open(dataKey, context, sealed)).toThrow(SealBroken)
    expect(() => sealer.open(otherKey, context, sealed)).toThrow(SealBroken)
  })
})

describe('nonces', () => {
  test('no pair of salt and nonce comes twice, and a context ends after 2^16 messages', () => {
    const dataKey = newDataKey()
    const sealer = newSealer()
    const pairs = new Set<string>()
    const salts = new Map<string, number>()
    const total = 2 * SEALS_PER_CONTEXT_MAX + 10
    for (let i = 0; i < total; i++) {
      const sealed = sealer.seal(dataKey, [], Buffer.alloc(1))
      pairs.add(saltOf(sealed) + nonceOf(sealed))
      salts.set(saltOf(sealed), (salts.get(saltOf(sealed)) ?? 0) + 1)
    }
    expect(pairs.size).toBe(total)
    expect([...salts.values()]).toEqual([SEALS_PER_CONTEXT_MAX, SEALS_PER_CONTEXT_MAX, 10])
  }, 30_000)

  test('a context ends after an hour', () => {
    const clock = fakeClock()
    const sealer = newSealer(clock)
    const dataKey = newDataKey()
    const first = sealer.seal(dataKey, context, text)
    clock.pass(CONTEXT_AGE_MS_MAX - 1)
    expect(saltOf(sealer.seal(dataKey, context, text))).toBe(saltOf(first))
    clock.pass(1)
    const later = sealer.seal(dataKey, context, text)
    expect(saltOf(later)).not.toBe(saltOf(first))
    expect(sealer.open(dataKey, context, first)).toEqual(text)
    expect(sealer.open(dataKey, context, later)).toEqual(text)
  })

  test('two processes, and two keys under one id, never share a salt', () => {
    const [a, b] = [newDataKey(), newDataKey()]
    const [sealer, another] = [newSealer(), newSealer()]
    const salts = [
      sealer.seal(a, [], text),
      another.seal(a, [], text),
      sealer.seal(b, [], text),
      sealer.seal(a, [], text),
    ]
    expect(new Set(salts.map(saltOf)).size).toBe(4)
    const sameKeyLoadedAgain = { ...a, key: newKeyFrom(a.key) }
    const again = sealer.seal(sameKeyLoadedAgain, [], text)
    expect(saltOf(again)).toBe(saltOf(salts[3]!))
    expect(nonceOf(again)).not.toBe(nonceOf(salts[3]!))
  })

  test('a nonce that was taken by a failed seal is not taken again', () => {
    const sealer = newSealer()
    const dataKey = newDataKey()
    const before = sealer.seal(dataKey, [], text)
    expect(() => sealer.seal(dataKey, ['\udc00'], text)).toThrow()
    const after = sealer.seal(dataKey, [], text)
    expect(Number.parseInt(nonceOf(after), 16) - Number.parseInt(nonceOf(before), 16)).toBe(2)
  })
})

test('the number of contexts is bounded, and an evicted one is never resumed', () => {
  const sealer = newSealer(fakeClock(), 2)
  const keys = [newDataKey('a'), newDataKey('b'), newDataKey('c')]
  const sealed = keys.map((dataKey) => sealer.seal(dataKey, context, text))
  const again = keys.map((dataKey) => sealer.seal(dataKey, context, text))
  expect(new Set([...sealed, ...again].map(saltOf)).size).toBe(6)
  for (const [index, dataKey] of [...keys, ...keys].entries()) {
    expect(sealer.open(dataKey, context, [...sealed, ...again][index]!)).toEqual(text)
  }
})

test('forgetting drops what was derived for that tenant only', () => {
  const sealer = newSealer()
  const [mine, other] = [newDataKey('tenant/1/x'), newDataKey('tenant/2/x')]
  const before = [mine, other].map((dataKey) => saltOf(sealer.seal(dataKey, context, text)))
  sealer.forget('tenant/1/')
  const after = [mine, other].map((dataKey) => saltOf(sealer.seal(dataKey, context, text)))
  expect(after[0]).not.toBe(before[0])
  expect(after[1]).toBe(before[1])
})

test('a data key of another size is a programmer error', () => {
  const dataKey = { id: 'short', epoch: 1, key: newKeyFrom(newKey(systemRandom), 16) }
  expect(() => newSealer().seal(dataKey, context, text)).toThrow(/256 bits/)
})

function newKeyFrom(key: KeyObject, length = 32): KeyObject {
  return createSecretKey(exportKey(key).subarray(0, length))
}

// ── Mallory's tool: one ciphertext, one tag, two keys ──────────────────────────────────────────────────────────────────────

/** Two blocks: the first is free, the second is solved so that both keys give the same tag (NIST SP 800-38D §6.4, §7.1). */
function openableByBoth(first: KeyObject, second: KeyObject, nonce: Buffer, associated: Buffer) {
  const free = Buffer.alloc(16, 0x5a)
  const sides = [first, second].map((key) => {
    const h = toField(encryptBlock(key, Buffer.alloc(16)))
    const mask = toField(encryptBlock(key, Buffer.concat([nonce, Buffer.from([0, 0, 0, 1])])))
    const lengths = Buffer.alloc(16)
    lengths.writeUInt32BE(associated.length * 8, 4)
    lengths.writeUInt32BE(32 * 8, 12)
    const blocks = [...blocksOf(associated), toField(free), 0n, toField(lengths)]
    const hash = blocks.reduce((sum, block) => multiply(sum ^ block, h), 0n)
    return { rest: hash ^ mask, factor: multiply(h, h) }
  })
  const [a, b] = [sides[0]!, sides[1]!]
  const solved = multiply(a.rest ^ b.rest, inverse(a.factor ^ b.factor))
  const tag = a.rest ^ multiply(solved, a.factor)
  return { ciphertext: Buffer.concat([free, fromField(solved)]), tag: fromField(tag) }
}

function encryptBlock(key: KeyObject, block: Buffer): Buffer {
  return createCipheriv('aes-256-ecb', key, null).setAutoPadding(false).update(block)
}

function blocksOf(bytes: Buffer): bigint[] {
  const blocks: bigint[] = []
  for (let at = 0; at < bytes.length; at += 16) {
    const block = Buffer.alloc(16)
    bytes.copy(block, 0, at)
    blocks.push(toField(block))
  }
  return blocks
}

const toField = (block: Buffer) => BigInt(`0x${block.toString('hex')}`)
const fromField = (value: bigint) => Buffer.from(value.toString(16).padStart(32, '0'), 'hex')

/** GF(2^128) with GCM's reversed bits: the highest bit is the coefficient of 1. */
function multiply(x: bigint, y: bigint): bigint {
  let product = 0n
  let v = y
  for (let bit = 127n; bit >= 0n; bit--) {
    if ((x >> bit) & 1n) product ^= v
    v = v & 1n ? (v >> 1n) ^ (0xe1n << 120n) : v >> 1n
  }
  return product
}

/** x^(2^128 - 2). */
function inverse(x: bigint): bigint {
  let result = 1n << 127n
  for (let bit = 0; bit < 128; bit++) {
    result = multiply(result, result)
    if (bit < 127) result = multiply(result, x)
  }
  return result
}
