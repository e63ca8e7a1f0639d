/**
 * The only calls of `node:crypto` that keep data secret or whole. Everything is an approved algorithm (AES-256-GCM,
 * HMAC-SHA-256, HKDF-SHA-256, SHA-256), so that a FIPS provider can stand beneath. Keys are `KeyObject`s: they do not
 * print, do not serialise, and Node 24 works with them several times faster than with bytes.
 */

import assert from 'node:assert/strict'
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { Random } from '../ids/ids.ts'
import { encodeParts } from './encoding.ts'
import type { Part } from './encoding.ts'

export const KEY_BYTES = 32
export const NONCE_BYTES = 12
export const TAG_BYTES = 16

/** AES-256-GCM (NIST SP 800-38D) with a nonce of 96 bits and a tag of 128. The caller answers for the nonce's uniqueness. */
export function encryptGcm(key: KeyObject, nonce: Uint8Array, associated: Uint8Array, plaintext: Uint8Array) {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(associated)
  const ciphertext = cipher.update(plaintext)
  cipher.final()
  return { ciphertext, tag: cipher.getAuthTag() }
}

/** @throws Error when key, nonce, associated data, ciphertext or tag do not belong together */
export function decryptGcm(
  key: KeyObject,
  nonce: Uint8Array,
  associated: Uint8Array,
  ciphertext: Uint8Array,
  tag: Uint8Array,
): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(associated)
  decipher.setAuthTag(tag)
  const plaintext = decipher.update(ciphertext)
  decipher.final()
  return plaintext
}

/** RFC 2104. */
export function hmacSha256(key: KeyObject, data: Uint8Array): Buffer {
  return createHmac('sha256', key).update(data).digest()
}

/** RFC 5869. The caller wipes what it gets as soon as it is a `KeyObject`. */
export function hkdfSha256(key: KeyObject, salt: Uint8Array, info: Uint8Array, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, info, length))
}

/** A fresh 256-bit data key or wrapping key. */
export function newKey(random: Random): KeyObject {
  return keyFromBytes(random.bytes(KEY_BYTES))
}

/** Takes the bytes over: they are wiped, the key object is all that remains. */
export function keyFromBytes(bytes: Uint8Array): KeyObject {
  assert(bytes.length === KEY_BYTES, 'A key has 256 bits')
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return key
}

const DERIVE_LABEL = 'sotto/derive/1'

/**
 * Derives a 256-bit key. Of several input keys all are needed: whoever lacks one knows nothing of the result, so that
 * destroying any of them destroys what hangs on it (concatenation before HKDF-Extract, as NIST SP 800-56C combines secrets;
 * every input has 256 bits, so the concatenation is unambiguous).
 *
 * @param info  distinct for every use; the list of all uses stands in the README of the room `keys`
 */
export function deriveKey(keys: KeyObject | readonly KeyObject[], ...info: readonly [string, ...string[]]): KeyObject {
  const inputs = Array.isArray(keys) ? (keys as readonly KeyObject[]) : [keys as KeyObject]
  assert(inputs.length > 0, 'A key is derived from at least one key')
  const joined = Buffer.concat(inputs.map(exportKey))
  const label = encodeParts([DERIVE_LABEL, ...info])
  try {
    return keyFromBytes(hkdfSha256(createSecretKey(joined), new Uint8Array(0), label, KEY_BYTES))
  } finally {
    joined.fill(0)
  }
}

/** The bytes of a key, for the moment in which another key protects them. The caller wipes them. */
export function exportKey(key: KeyObject): Buffer {
  assert(key.symmetricKeySize === KEY_BYTES, 'A key has 256 bits')
  return key.export()
}

/** A keyed index of values that must not be readable or guessable in the database: HMAC-SHA-256 over unambiguous parts. */
export function keyedHash(key: KeyObject, ...parts: readonly Part[]): Buffer {
  return hmacSha256(key, encodeParts(parts))
}

/** Compares without telling by its duration where two secrets differ. Their lengths are no secret. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
