/**
 * Arrays on their way to `unnest`, in the form that costs both sides least: byte strings in PostgreSQL's binary format,
 * since hexadecimal text doubles them and is parsed again; everything else as array literals, where equal neighbours are
 * written once. (The driver sends a Buffer as a binary parameter, a string as a text one.)
 */

import assert from 'node:assert'

/** UUIDs need no quotes. Tested at once: a pattern for each element costs more than all the rest. */
const UUIDS = /^[0-9a-f-]{36}(?:,[0-9a-f-]{36})*$/

/** @returns a parameter for the driver; the array itself when it holds what only the driver knows how to write */
export function encodeArray(values: readonly unknown[]): unknown {
  const first = values.find((value) => value !== null)
  if (first instanceof Uint8Array) return encodeByteaArray(values as readonly (Uint8Array | null)[])
  if (typeof first === 'string') {
    const joined = values.join(',')
    if (UUIDS.test(joined)) return `{${joined}}`
  }
  let text = '{'
  let last: unknown
  let lastText = ''
  for (let index = 0; index < values.length; index++) {
    const value: unknown = values[index] instanceof Date ? (values[index] as Date).getTime() : values[index]
    if (index === 0 || value !== last) {
      const encoded = values[index] instanceof Date ? (values[index] as Date).toISOString() : encodeElement(value)
      if (encoded === undefined) return values
      last = value
      lastText = encoded
    }
    text += index === 0 ? lastText : `,${lastText}`
  }
  return `${text}}`
}

function encodeElement(value: unknown): string | undefined {
  if (value === null) return 'NULL'
  if (typeof value === 'string') return `"${value.replaceAll(/["\\]/g, '\\$&')}"`
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  return undefined
}

const BYTEA_OID = 17
const HEAD_BYTES = 20
const LENGTH_BYTES = 4

/**
 * What array_recv reads: dimensions, whether there are nulls, the type of the elements, how many and from which index on,
 * then each behind its length, -1 for null. All int32, big-endian.
 */
function encodeByteaArray(values: readonly (Uint8Array | null)[]): Buffer {
  const bytes = values.reduce((sum, value) => sum + LENGTH_BYTES + (value?.length ?? 0), HEAD_BYTES)
  const encoded = Buffer.allocUnsafe(bytes)
  encoded.writeInt32BE(1, 0)
  encoded.writeInt32BE(values.includes(null) ? 1 : 0, 4)
  encoded.writeInt32BE(BYTEA_OID, 8)
  encoded.writeInt32BE(values.length, 12)
  encoded.writeInt32BE(1, 16)
  let at = HEAD_BYTES
  for (const value of values) {
    assert(value === null || value instanceof Uint8Array, 'An array of byte strings holds something else')
    at = encoded.writeInt32BE(value === null ? -1 : value.length, at)
    if (value === null) continue
    encoded.set(value, at)
    at += value.length
  }
  return encoded
}
