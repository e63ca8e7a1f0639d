import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Problem } from '../../platform/problem/problem.ts'
import { parseJson, parseJsonBytes } from './parse-json.ts'

const DEPTH = 16

function reasonOf(parse: () => unknown): string {
  try {
    parse()
  } catch (error) {
    if (error instanceof Problem && error.code === 'platform/malformed') return error.trueReason
    throw error
  }
  return 'parsed'
}

describe('JSON of a stranger', () => {
  test('is what JSON.parse makes of it, whatever stands in its strings', () => {
    const value = fc.jsonValue({ maxDepth: 6, stringUnit: 'binary' })
    fc.assert(
      fc.property(value, (value) => {
        const text = JSON.stringify(value)
        fc.pre(!text.includes('__proto__'))
        expect(parseJson(text, 100)).toEqual(JSON.parse(text))
      }),
    )
  })

  test('is refused exactly when it is deeper than the limit', () => {
    const nested = (depth: number) => '[{"a":'.repeat(depth / 2) + '1' + '}]'.repeat(depth / 2)
    expect(reasonOf(() => parseJson(nested(DEPTH), DEPTH))).toBe('parsed')
    expect(reasonOf(() => parseJson(nested(DEPTH + 2), DEPTH))).toBe('too-deep')
    expect(reasonOf(() => parseJson(`"${'['.repeat(100)}"`, DEPTH))).toBe('parsed')
    expect(reasonOf(() => parseJson(String.raw`"\"${'['.repeat(100)}"`, DEPTH))).toBe('parsed')
  })

  test.for([
    ['{"a":1,"a":1}', 'repeated-name'],
    [String.raw`{"a":1,"\u0061":2}`, 'repeated-name'],
    ['[{"b":{"a":1,"a":2}}]', 'repeated-name'],
    ['{"a":":","b":"{:}"}', 'parsed'],
    ['{"a":{"a":{"a":1}}}', 'parsed'],
    ['{"__proto__":{"admin":true}}', 'a-name-that-is-not-data'],
    [String.raw`{"a":[{"__pro\u0074o__":1}]}`, 'a-name-that-is-not-data'],
    ['{"a":"__proto__","constructor":1}', 'parsed'],
    ['{"a":1', 'not-json'],
    ['{:}', 'not-json'],
    ['', 'not-json'],
    ['\ufeff{}', 'not-json'],
  ] as const)('%s: %s', ([text, reason]) => {
    expect(reasonOf(() => parseJson(text, DEPTH))).toBe(reason)
  })

  test('changes no prototype', () => {
    reasonOf(() => parseJson('{"__proto__":{"polluted":true}}', DEPTH))
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  test('comes in UTF-8', () => {
    expect(parseJsonBytes(Buffer.from('{"a":"\u{1f48a}"}'), DEPTH)).toEqual({ a: '\u{1f48a}' })
    for (const hex of ['22ff22', '22c0af22', '22eda08022', 'ff', '22f4908080 22'.replaceAll(' ', '')])
      expect(reasonOf(() => parseJsonBytes(Buffer.from(hex, 'hex'), DEPTH))).toBe('not-utf-8')
    expect(reasonOf(() => parseJsonBytes(Buffer.from('efbbbf7b7d', 'hex'), DEPTH))).toBe('not-json')
  })
})
