import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { systemRandom } from '../ids/ids.ts'
import { hashToken, newToken } from './tokens.ts'

test('a token carries 256 bits as base64url and does not print', () => {
  const token = newToken(systemRandom)
  expect(token.reveal()).toMatch(/^[A-Za-z0-9_-]{43}$/)
  expect(String(token)).not.toContain(token.reveal())
  expect(newToken(systemRandom).reveal()).not.toBe(token.reveal())
})

test('what is stored of a token is its SHA-256', () => {
  const token = newToken({ bytes: (length) => new Uint8Array(length).fill(1) })
  expect(hashToken(token)).toEqual(createHash('sha256').update(token.reveal()).digest())
  expect(hashToken(token)).not.toEqual(hashToken(newToken(systemRandom)))
})
