/**
 * Canonical JSON (RFC 8785) for what is committed to: one value, one sequence of bytes.
 *
 * The type is closed on purpose. RFC 8785 allows every IEEE 754 number; here only safe integers are allowed, because two
 * implementations disagree on floats sooner than on anything else and an audit record has no use for them. Values come from a
 * typed schema; a received JSON text is never canonicalised, since `JSON.parse` silently drops duplicate names.
 */

export type CanonicalValue =
  | null
  | boolean
  | number
  | string
  | readonly CanonicalValue[]
  | { readonly [name: string]: CanonicalValue }

/** Deeper values are refused: no record is, and a cycle ends here. */
export const JCS_DEPTH_MAX = 32

/**
 * @returns the canonical text; its UTF-8 form is `canonicalBytes`
 * @throws TypeError for a float, an unsafe integer, a lone surrogate, `undefined`, an array hole, anything that is not plain
 *         data, or too deep nesting. The message names no value, since values may be private.
 */
export function canonicalize(value: CanonicalValue): string {
  return write(value, 0)
}

export function canonicalBytes(value: CanonicalValue): Uint8Array {
  return utf8.encode(canonicalize(value))
}

const utf8 = new TextEncoder()

function write(value: unknown, depth: number): string {
  if (value === null || value === true || value === false) return String(value)
  if (typeof value === 'string') return writeString(value)
  if (typeof value === 'number') return writeInteger(value)
  if (typeof value !== 'object') throw new TypeError(`Canonical JSON has no ${typeof value}`)
  if (depth === JCS_DEPTH_MAX) throw new TypeError('The value is nested too deeply for canonical JSON')
  return Array.isArray(value) ? writeArray(value, depth + 1) : writeObject(value, depth + 1)
}

/** RFC 8785 §3.2.2.2 is what JSON.stringify does with well-formed text. */
function writeString(text: string): string {
  if (!text.isWellFormed()) throw new TypeError('Canonical JSON has no lone surrogates')
  return JSON.stringify(text)
}

/** `-0` is `0` (RFC 8785 §3.2.2.3, by ECMA-262 Number::toString). */
function writeInteger(number: number): string {
  if (!Number.isSafeInteger(number)) throw new TypeError('Canonical JSON has safe integers only')
  return String(number)
}

function writeArray(array: readonly unknown[], depth: number): string {
  let text = ''
  // By index, since an iterator method would skip holes instead of refusing them.
  for (let index = 0; index < array.length; index++) text += (index === 0 ? '' : ',') + write(array[index], depth)
  return `[${text}]`
}

/** Names in the order of their UTF-16 code units (RFC 8785 §3.2.3), which is what `toSorted` does without a comparison. */
function writeObject(object: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(object)
  if (prototype !== null && prototype !== Object.prototype) throw new TypeError('Canonical JSON has plain objects only')
  const members = object as Readonly<Record<string, unknown>>
  let text = ''
  for (const name of Object.keys(members).toSorted()) {
    text += `${text === '' ? '' : ','}${writeString(name)}:${write(members[name], depth)}`
  }
  return `{${text}}`
}
