import { existsSync, readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalBytes, canonicalize, JCS_DEPTH_MAX } from './jcs.ts'
import type { CanonicalValue } from './jcs.ts'

/** The vectors of cyberphone/json-canonicalization, kept beside the repository. Missing, they fail in CI and skip elsewhere. */
const folder = new URL('../../../../shared/data/vectors/jcs/', import.meta.url)
const hasVectors = existsSync(folder) || process.env['CI'] === 'true'

/** `values.json` is about floats, which the closed type refuses: 333333333.33333329, 1E30, 4.50, … */
const REFUSED = 'values.json'

describe.skipIf(!hasVectors)('RFC 8785 vectors', () => {
  const readInput = (file: string) =>
    JSON.parse(readFileSync(new URL(`input/${file}`, folder), 'utf8')) as CanonicalValue

  test('agree byte for byte', () => {
    const files = readdirSync(new URL('input/', folder)).filter((file) => file !== REFUSED)
    expect(files.toSorted()).toEqual(['arrays.json', 'french.json', 'structures.json', 'unicode.json', 'weird.json'])
    for (const file of files) {
      const hex = readFileSync(new URL(`outhex/${file.replace('.json', '.txt')}`, folder), 'utf8').replaceAll(/\s/g, '')
      expect(Buffer.from(canonicalBytes(readInput(file))).toString('hex'), file).toBe(hex)
    }
  })

  test('with floats are refused as a whole, and agree without them', () => {
    const { numbers, ...rest } = readInput(REFUSED) as { numbers: CanonicalValue[] }
    expect(() => canonicalize({ numbers, ...rest })).toThrow(/safe integers/)
    const output = JSON.parse(readFileSync(new URL('output/values.json', folder), 'utf8')) as { numbers: unknown }
    expect(JSON.parse(canonicalize(rest))).toEqual({ ...output, numbers: undefined })
  })
})

const unsortedText = fc.string({ unit: 'grapheme' })
const { value: anyValue } = fc.letrec<{ value: CanonicalValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    unsortedText,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(unsortedText, tie('value'), { maxKeys: 5, noNullPrototype: false }),
  ),
}))

test('reading the canonical text gives the value back, and writing it again the same text', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const text = canonicalize(value)
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
      expect(canonicalize(JSON.parse(text) as CanonicalValue)).toBe(text)
    }),
  )
})

test('the order in which members were added does not matter', () => {
  fc.assert(
    fc.property(fc.dictionary(unsortedText, anyValue), (members) => {
      const reversed = Object.fromEntries(Object.entries(members).toReversed()) as CanonicalValue
      expect(canonicalize(reversed)).toBe(canonicalize(members))
    }),
  )
})

test('sorts names by UTF-16 code units, not by code points or locale', () => {
  // U+1F602 begins with the code unit D83D and comes before U+FB33, though its code point is higher.
  expect(canonicalize({ '\ufb33': 1, '\u{1f602}': 2, é: 3, z: 4, Z: 5 })).toBe(
    '{"Z":5,"z":4,"é":3,"\u{1f602}":2,"\ufb33":1}',
  )
})

test('writes whole numbers without a fraction, and minus zero as zero', () => {
  expect(canonicalize([-0, 56, -1, Number.MAX_SAFE_INTEGER])).toBe('[0,56,-1,9007199254740991]')
})

test('keeps a member whose name is special to JavaScript', () => {
  const value = JSON.parse('{"__proto__": {"a": 1}}') as CanonicalValue
  expect(canonicalize(value)).toBe('{"__proto__":{"a":1}}')
})

test.each<[string, unknown]>([
  ['a float', 1.5],
  ['not a number', Number.NaN],
  ['infinity', Number.POSITIVE_INFINITY],
  ['an unsafe integer', 2 ** 53],
  ['undefined', undefined],
  ['a missing member', { a: undefined }],
  ['a hole', Object.assign([1], { 2: 2 })],
  ['a bigint', 1n],
  ['a symbol', Symbol('a')],
  ['a function', () => 1],
  ['a date', new Date(0)],
  ['bytes', new Uint8Array(1)],
  ['a map', new Map()],
  ['a lone surrogate', 'a\ud800'],
  ['a lone surrogate in a name', { '\udc00': 1 }],
])('refuses %s, wherever it stands', (_, value) => {
  for (const placed of [value, [value], { a: [{ b: value }] }]) {
    expect(() => canonicalize(placed as CanonicalValue)).toThrow(TypeError)
  }
})

test('refuses what is nested too deeply, and so a cycle', () => {
  const nest = (depth: number): CanonicalValue => (depth === 0 ? 1 : [nest(depth - 1)])
  expect(canonicalize(nest(JCS_DEPTH_MAX))).toContain('1')
  expect(() => canonicalize(nest(JCS_DEPTH_MAX + 1))).toThrow(/nested/)
  const cycle: unknown[] = []
  cycle.push(cycle)
  expect(() => canonicalize(cycle as CanonicalValue[])).toThrow(/nested/)
})
