import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeParts } from './encoding.ts'

const parts = fc.array(fc.oneof(fc.string({ unit: 'grapheme' }), fc.uint8Array()))
const bytesOf = (list: readonly (string | Uint8Array)[]) =>
  list.map((part) => Buffer.from(part as string).toString('hex'))

test('two lists encode alike only when their parts are the same bytes', () => {
  fc.assert(
    fc.property(parts, parts, (a, b) => {
      expect(encodeParts(a).equals(encodeParts(b))).toBe(JSON.stringify(bytesOf(a)) === JSON.stringify(bytesOf(b)))
    }),
  )
  expect(encodeParts(['ab', 'c'])).not.toEqual(encodeParts(['a', 'bc']))
  expect(encodeParts(['a', ''])).not.toEqual(encodeParts(['a']))
  expect(encodeParts([])).toHaveLength(0)
})

test('writes the length as four bytes in front of each part, and leaves room for a prefix', () => {
  expect(encodeParts(['é', Uint8Array.of(7)]).toString('hex')).toBe('00000002c3a90000000107')
  expect(encodeParts(['é'], 3).subarray(3).toString('hex')).toBe('00000002c3a9')
})

test('refuses a lone surrogate, which UTF-8 would make equal to every other one', () => {
  expect(() => encodeParts(['\ud800'])).toThrow(/well-formed/)
})
