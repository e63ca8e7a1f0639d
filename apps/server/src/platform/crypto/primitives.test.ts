import { createSecretKey } from 'node:crypto'
import { expect, test } from 'vitest'
import { systemRandom } from '../ids/ids.ts'
import {
  constantTimeEqual,
  decryptGcm,
  deriveKey,
  encryptGcm,
  exportKey,
  hkdfSha256,
  hmacSha256,
  keyedHash,
  keyFromBytes,
  newKey,
} from './primitives.ts'
import { readWycheproof, testWithVectors } from './vectors.testing.ts'

const hex = (value: unknown) => Buffer.from(value as string, 'hex')
const keyOf = (value: unknown) => createSecretKey(hex(value))

testWithVectors('AES-256-GCM as we call it agrees with Wycheproof', () => {
  let seen = 0
  for (const group of readWycheproof('aes_gcm_test')) {
    if (group.keySize !== 256 || group.ivSize !== 96 || group.tagSize !== 128) continue
    for (const vector of group.tests) {
      const key = keyOf(vector['key'])
      const [nonce, associated, plaintext] = [hex(vector['iv']), hex(vector['aad']), hex(vector['msg'])]
      const [ciphertext, tag] = [hex(vector['ct']), hex(vector['tag'])]
      const open = () => decryptGcm(key, nonce, associated, ciphertext, tag)
      if (vector.result === 'valid') {
        expect(encryptGcm(key, nonce, associated, plaintext), vector.comment).toEqual({ ciphertext, tag })
        expect(open(), vector.comment).toEqual(plaintext)
      } else expect(open, vector.comment).toThrow()
      seen++
    }
  }
  expect(seen).toBe(66)
})

testWithVectors('HKDF-SHA-256 agrees with Wycheproof', () => {
  let seen = 0
  for (const group of readWycheproof('hkdf_sha256_test')) {
    for (const vector of group.tests) {
      const derive = () =>
        hkdfSha256(keyOf(vector['ikm']), hex(vector['salt']), hex(vector['info']), vector['size'] as number)
      if (vector.result === 'valid') expect(derive().toString('hex'), vector.comment).toBe(vector['okm'])
      else expect(derive, vector.comment).toThrow()
      seen++
    }
  }
  expect(seen).toBe(86)
})

testWithVectors('HMAC-SHA-256 agrees with Wycheproof', () => {
  let seen = 0
  for (const group of readWycheproof('hmac_sha256_test')) {
    for (const vector of group.tests) {
      const tag = hex(vector['tag'])
      const made = hmacSha256(keyOf(vector['key']), hex(vector['msg'])).subarray(0, tag.length)
      expect(constantTimeEqual(made, tag), vector.comment).toBe(vector.result === 'valid')
      seen++
    }
  }
  expect(seen).toBe(174)
})

test('a tag that is cut short is refused', () => {
  const key = newKey(systemRandom)
  const { ciphertext, tag } = encryptGcm(key, new Uint8Array(12), new Uint8Array(0), Buffer.from('text'))
  expect(() => decryptGcm(key, new Uint8Array(12), new Uint8Array(0), ciphertext, tag.subarray(0, 12))).toThrow()
})

test('a key takes its bytes over and wipes them', () => {
  const bytes = Buffer.alloc(32, 7)
  const key = keyFromBytes(bytes)
  expect(bytes).toEqual(Buffer.alloc(32))
  expect(exportKey(key)).toEqual(Buffer.alloc(32, 7))
  expect(JSON.stringify({ key })).not.toContain('BwcH')
})

test('a key of another size is a programmer error', () => {
  expect(() => keyFromBytes(new Uint8Array(16))).toThrow(/256 bits/)
  expect(() => deriveKey(createSecretKey(Buffer.alloc(16, 1)), 'use')).toThrow(/256 bits/)
  expect(() => deriveKey([], 'use')).toThrow(/at least one/)
})

test('a derived key depends on every input key, on their order and on its use', () => {
  const [a, b, c] = [newKey(systemRandom), newKey(systemRandom), newKey(systemRandom)]
  const base = deriveKey([a, b], 'use', 'part')
  expect(deriveKey([a, b], 'use', 'part').equals(base)).toBe(true)
  const others = [
    deriveKey(a, 'use', 'part'),
    deriveKey(b, 'use', 'part'),
    deriveKey([b, a], 'use', 'part'),
    deriveKey([a, c], 'use', 'part'),
    deriveKey([c, b], 'use', 'part'),
    deriveKey([a, b, c], 'use', 'part'),
    deriveKey([a, b], 'use'),
    deriveKey([a, b], 'usepart'),
    deriveKey([a, b], 'use', 'parT'),
  ]
  const all = [base, ...others].map((key) => exportKey(key).toString('hex'))
  expect(new Set(all).size).toBe(all.length)
  expect(all.every((key) => key.length === 64)).toBe(true)
})

test('a single key may be given alone or as a list', () => {
  const key = newKey(systemRandom)
  expect(deriveKey(key, 'use').equals(deriveKey([key], 'use'))).toBe(true)
})

test('a keyed hash depends on the key and on where its parts begin', () => {
  const [key, other] = [newKey(systemRandom), newKey(systemRandom)]
  expect(keyedHash(key, 'alice', Uint8Array.of(1))).toEqual(keyedHash(key, 'alice', Uint8Array.of(1)))
  expect(keyedHash(key, 'alice')).toHaveLength(32)
  expect(keyedHash(key, 'alice')).not.toEqual(keyedHash(other, 'alice'))
  expect(keyedHash(key, 'al', 'ice')).not.toEqual(keyedHash(key, 'alice'))
})

test('compares values of any length', () => {
  expect(constantTimeEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true)
  expect(constantTimeEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false)
  expect(constantTimeEqual(Uint8Array.of(1, 2), Uint8Array.of(1))).toBe(false)
})
