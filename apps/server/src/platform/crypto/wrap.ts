/** Keys at rest: one key sealed under another, in the same form as data and with a salt of its own each time. */

import type { KeyObject } from 'node:crypto'
import type { Random } from '../ids/ids.ts'
import type { Part } from './encoding.ts'
import {
  deriveSealingKeys,
  encodeHeader,
  openEnvelope,
  parseEnvelope,
  SALT_BYTES,
  SealBroken,
  sealEnvelope,
} from './envelope.ts'
import type { DataKey } from './envelope.ts'
import { exportKey, KEY_BYTES, keyFromBytes } from './primitives.ts'

/** @param context  which key this is and for what: needed again to unwrap */
export function wrapKey(random: Random, wrappingKey: DataKey, context: readonly Part[], key: KeyObject): Buffer {
  const salt = random.bytes(SALT_BYTES)
  const derived = deriveSealingKeys('wrap', wrappingKey, salt)
  const bytes = exportKey(key)
  try {
    // The derived key is used this once, so its first nonce is its only one.
    return sealEnvelope(derived.key, encodeHeader(wrappingKey.epoch, salt, derived.commitment), 0, context, bytes)
  } finally {
    bytes.fill(0)
  }
}

/** @throws SealBroken when wrapping key, context or bytes are not those of wrapping */
export function unwrapKey(wrappingKey: DataKey, context: readonly Part[], wrapped: Uint8Array): KeyObject {
  const envelope = parseEnvelope(wrapped)
  if (envelope.epoch !== wrappingKey.epoch) throw new SealBroken()
  const bytes = openEnvelope(deriveSealingKeys('wrap', wrappingKey, envelope.salt), envelope, context)
  if (bytes.length !== KEY_BYTES) throw new SealBroken()
  return keyFromBytes(bytes)
}
