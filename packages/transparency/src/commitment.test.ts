import { createHash, createHmac, randomBytes, webcrypto } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { commitmentInput, commitEvent, encodeLeaf, hashLeaf, isCommitmentOf, leafHashInput } from './commitment.ts'
import type { HmacSha256, Sha256 } from './commitment.ts'

const hmac: HmacSha256 = (key, data) => createHmac('sha256', key).update(data).digest()
const sha256: Sha256 = (data) => createHash('sha256').update(data).digest()
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

const event = { action: 'entry.list', outcome: 'success', actor: 'alice', at: 1_760_000_000_000 }

test('commits to the canonical event under its label and salt', () => {
  const salt = new Uint8Array(32).fill(7)
  const text = 'hcal/1\0{"action":"entry.list","actor":"alice","at":1760000000000,"outcome":"success"}'
  const expected = createHmac('sha256', Buffer.alloc(32, 7)).update(text).digest()
  expect(hex(commitEvent(hmac, salt, event))).toBe(hex(expected))
})

test('another salt or the smallest change gives another commitment', () => {
  const salt = randomBytes(32)
  const commitment = commitEvent(hmac, salt, event)
  expect(isCommitmentOf(hmac, salt, { ...event }, commitment)).toBe(true)
  expect(isCommitmentOf(hmac, salt, { ...event, actor: 'mallory' }, commitment)).toBe(false)
  expect(isCommitmentOf(hmac, randomBytes(32), event, commitment)).toBe(false)
  expect(isCommitmentOf(hmac, salt, event, commitment.subarray(1))).toBe(false)
})

test('refuses a salt of another length', () => {
  expect(() => commitEvent(hmac, randomBytes(16), event)).toThrow(/32 bytes/)
})

test('a leaf holds commitment, class and day, and nothing else', () => {
  const leaf = encodeLeaf({ commitment: new Uint8Array(32).fill(0xfb), eventClass: 'read', day: '2026-03-01' })
  expect(Buffer.from(leaf).toString()).toBe(
    `{"c":"${Buffer.alloc(32, 0xfb).toString('base64url')}","d":"2026-03-01","k":"read","v":1}`,
  )
})

test('every commitment is written as unpadded base64url', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (commitment) => {
      const leaf = JSON.parse(
        Buffer.from(encodeLeaf({ commitment, eventClass: 'k', day: '2026-01-01' })).toString(),
      ) as {
        c: string
      }
      expect(leaf.c).toBe(Buffer.from(commitment).toString('base64url'))
    }),
  )
})

test('refuses a leaf that cannot be one', () => {
  const commitment = new Uint8Array(32)
  expect(() => encodeLeaf({ commitment: commitment.subarray(1), eventClass: 'k', day: '2026-01-01' })).toThrow(
    /32 bytes/,
  )
  expect(() => encodeLeaf({ commitment, eventClass: 'k', day: '2026-1-1' })).toThrow(/YYYY-MM-DD/)
})

test('hashes leaves as RFC 6962 §2.1 does', () => {
  expect(hex(hashLeaf(sha256, new Uint8Array(0)))).toBe(
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  )
  expect(hex(hashLeaf(sha256, Buffer.from('L123456')))).toBe(
    '395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56',
  )
})

test('a browser comes to the same values with WebCrypto', async () => {
  const salt = randomBytes(32)
  const key = await webcrypto.subtle.importKey('raw', salt, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  const commitment = await webcrypto.subtle.sign('HMAC', key, Buffer.from(commitmentInput(event)))
  expect(hex(new Uint8Array(commitment))).toBe(hex(commitEvent(hmac, salt, event)))
  const leaf = encodeLeaf({ commitment: new Uint8Array(commitment), eventClass: 'read', day: '2026-03-01' })
  const hashed = await webcrypto.subtle.digest('SHA-256', Buffer.from(leafHashInput(leaf)))
  expect(hex(new Uint8Array(hashed))).toBe(hex(hashLeaf(sha256, leaf)))
})
