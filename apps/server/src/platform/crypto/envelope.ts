/**
 * The sealed form, the same for bodies, names and wrapped keys:
 *
 * | bytes | what | guarded by |
 * |---|---|---|
 * | 1 | format version, 1 | equality; associated data |
 * | 4 | epoch of the data key, uint32 | equality; associated data |
 * | 32 | salt | the commitment depends on it |
 * | 32 | commitment | compared in constant time before anything is decrypted |
 * | 12 | nonce | the tag depends on it |
 * | n | ciphertext, as long as the plaintext | tag |
 * | 16 | tag | — |
 *
 * `HKDF-SHA-256(data key, salt, info)` gives 64 bytes: an AES-256-GCM key and the commitment. AES-GCM alone does not commit
 * to its key: a ciphertext can be built that opens, to different texts, under two keys. The commitment closes that: two
 * keys that agree on it would be a collision of HKDF-SHA-256. The shape is that of the AWS Encryption SDK's committing suites.
 */

import assert from 'node:assert/strict'
import type { KeyObject } from 'node:crypto'
import type { Part } from './encoding.ts'
import { encodeParts } from './encoding.ts'
import {
  constantTimeEqual,
  decryptGcm,
  encryptGcm,
  hkdfSha256,
  KEY_BYTES,
  keyFromBytes,
  NONCE_BYTES,
  TAG_BYTES,
} from './primitives.ts'

/** One generation of a key under which data is sealed. */
export interface DataKey {
  /** Unique in the deployment, `tenant/<tenant>/…/<epoch>`. It is mixed into what is derived from the key. */
  readonly id: string
  /** Written into what is sealed, so that a reader can ask for the right generation. uint32. */
  readonly epoch: number
  readonly key: KeyObject
}

/** It does not open: wrong key, wrong context or altered bytes. Which of them is not for whoever asks. */
export class SealBroken extends Error {
  override readonly name = 'SealBroken'
  constructor() {
    super('What is sealed does not open')
  }
}

/** What HKDF makes of a data key and a salt. */
export interface DerivedKeys {
  readonly key: KeyObject
  readonly commitment: Buffer
}

export const SALT_BYTES = 32
const COMMITMENT_BYTES = 32
const FORMAT_VERSION = 1
const SALT_AT = 5
const COMMITMENT_AT = SALT_AT + SALT_BYTES
const NONCE_AT = COMMITMENT_AT + COMMITMENT_BYTES
const HEADER_BYTES = NONCE_AT + NONCE_BYTES

/** By how much what is sealed is longer than the plaintext. */
export const SEAL_OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES

/** @param purpose  `seal` and `wrap` never share a derived key, even of the same data key */
export function deriveSealingKeys(purpose: 'seal' | 'wrap', dataKey: DataKey, salt: Uint8Array): DerivedKeys {
  assert(dataKey.key.symmetricKeySize === KEY_BYTES, 'A data key has 256 bits')
  const okm = hkdfSha256(
    dataKey.key,
    salt,
    Buffer.from(`sotto/${purpose}/1|${dataKey.id}`),
    KEY_BYTES + COMMITMENT_BYTES,
  )
  const commitment = Buffer.from(okm.subarray(KEY_BYTES))
  return { key: keyFromBytes(okm.subarray(0, KEY_BYTES)), commitment }
}

/** The header of everything that is sealed with the same salt, nonce still open. */
export function encodeHeader(epoch: number, salt: Uint8Array, commitment: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt8(FORMAT_VERSION)
  header.writeUInt32BE(epoch, 1)
  header.set(salt, SALT_AT)
  header.set(commitment, COMMITMENT_AT)
  return header
}

/** @param counter  used as the nonce; unique under `key`: the caller never passes one twice */
export function sealEnvelope(
  key: KeyObject,
  header: Buffer,
  counter: number,
  context: readonly Part[],
  plaintext: Uint8Array,
): Buffer {
  // The header stands in front of the context in the associated data: its length is fixed, so both stay unambiguous.
  const associated = encodeParts(context, HEADER_BYTES)
  header.copy(associated)
  associated.writeUInt32BE(counter, HEADER_BYTES - 4)
  const { ciphertext, tag } = encryptGcm(key, associated.subarray(NONCE_AT, HEADER_BYTES), associated, plaintext)
  const sealed = Buffer.allocUnsafe(SEAL_OVERHEAD_BYTES + ciphertext.length)
  associated.copy(sealed, 0, 0, HEADER_BYTES)
  ciphertext.copy(sealed, HEADER_BYTES)
  tag.copy(sealed, HEADER_BYTES + ciphertext.length)
  return sealed
}

/** A sealed form taken apart: lengths and version are checked, nothing is believed yet. */
export interface Envelope {
  readonly epoch: number
  readonly salt: Buffer
  readonly commitment: Buffer
  readonly bytes: Buffer
}

/** @throws SealBroken when it is too short or of an unknown version */
export function parseEnvelope(sealed: Uint8Array): Envelope {
  if (sealed.length < SEAL_OVERHEAD_BYTES || sealed[0] !== FORMAT_VERSION) throw new SealBroken()
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
  return {
    epoch: bytes.readUInt32BE(1),
    salt: bytes.subarray(SALT_AT, COMMITMENT_AT),
    commitment: bytes.subarray(COMMITMENT_AT, NONCE_AT),
    bytes,
  }
}

/** @throws SealBroken before decrypting when the commitment is not that of `derived`, after it when the tag is wrong */
export function openEnvelope(derived: DerivedKeys, envelope: Envelope, context: readonly Part[]): Buffer {
  if (!constantTimeEqual(derived.commitment, envelope.commitment)) throw new SealBroken()
  const { bytes } = envelope
  const associated = encodeParts(context, HEADER_BYTES)
  bytes.copy(associated, 0, 0, HEADER_BYTES)
  const tagAt = bytes.length - TAG_BYTES
  const nonce = bytes.subarray(NONCE_AT, HEADER_BYTES)
  try {
    return decryptGcm(derived.key, nonce, associated, bytes.subarray(HEADER_BYTES, tagAt), bytes.subarray(tagAt))
  } catch {
    throw new SealBroken()
  }
}
