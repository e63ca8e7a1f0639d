import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { Problem } from '../../platform/problem/problem.ts'
import { parseInput } from './parse-input.ts'

const schema = z.strictObject({
  name: z.string().min(3),
  inner: z.strictObject({ 'a/b~c': z.array(z.int()) }).optional(),
})

function errorsOf(value: unknown) {
  try {
    parseInput(schema, value)
  } catch (error) {
    if (error instanceof Problem && error.code === 'platform/invalid-input') return error.errors
    throw error
  }
  return []
}

describe('input', () => {
  test('that fits is what the schema makes of it', () => {
    expect(parseInput(schema, { name: 'Bob' })).toEqual({ name: 'Bob' })
  })

  test('that does not fit is pointed at (RFC 6901)', () => {
    expect(errorsOf({ name: 'Bob', inner: { 'a/b~c': [1, 'x'] } })).toMatchObject([{ pointer: '/inner/a~1b~0c/1' }])
    expect(errorsOf({})).toMatchObject([{ pointer: '/name' }])
  })

  test('with a field that nobody knows is refused without naming it', () => {
    expect(errorsOf({ name: 'Bob', 'canary of a patient': 1 })).toEqual([{ pointer: '/', message: 'an unknown field' }])
  })

  test('is never quoted', () => {
    for (const value of ['no', 'canary', ['canary'], { name: { canary: 1 } }, { name: 'ca' }])
      expect(JSON.stringify(errorsOf(value))).not.toMatch(/canary/)
  })

  test('with very many mistakes gets twenty of them back', () => {
    const many = { name: 'Bob', inner: { 'a/b~c': Array.from({ length: 1_000 }, () => 'x') } }
    expect(errorsOf(many)).toHaveLength(20)
  })
})
