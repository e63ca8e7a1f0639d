/** One encoding of a list of parts for everything that is hashed, derived from or authenticated. */

import assert from 'node:assert/strict'

export type Part = string | Uint8Array

const LENGTH_BYTES = 4

/**
 * Every part behind its length (uint32, big-endian), so that two different lists never encode alike: `['ab', 'c']` is not
 * `['a', 'bc']`. Strings are UTF-8; a lone surrogate is refused, because UTF-8 would fold all of them into one character.
 *
 * @param reserveBytes  room left in front for the caller's own fixed-length prefix
 */
export function encodeParts(parts: readonly Part[], reserveBytes = 0): Buffer {
  const encoded = Buffer.allocUnsafe(reserveBytes + encodedBytes(parts))
  let at = reserveBytes
  for (const part of parts) {
    const start = at + LENGTH_BYTES
    const length = typeof part === 'string' ? encoded.write(part, start, 'utf8') : copyInto(encoded, part, start)
    encoded.writeUInt32BE(length, at)
    at = start + length
  }
  return encoded
}

function encodedBytes(parts: readonly Part[]): number {
  let total = 0
  for (const part of parts) {
    assert(typeof part !== 'string' || part.isWellFormed(), 'A part of a hash or an association is well-formed text')
    total += LENGTH_BYTES + (typeof part === 'string' ? Buffer.byteLength(part) : part.length)
  }
  return total
}

function copyInto(target: Buffer, part: Uint8Array, start: number): number {
  target.set(part, start)
  return part.length
}
