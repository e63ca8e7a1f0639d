import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds, openTestDatabase, type TestDatabase } from '../../../../../packages/testkit/src/databases.ts'
import { instant } from '../time/clock.ts'
import { statement } from './tx.ts'
import { encodeArray } from './wire-arrays.ts'

describe.each(databaseKinds)('arrays on their way through %s', (kind) => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await openTestDatabase(kind)
  })
  afterAll(() => database[Symbol.asyncDispose]())

  async function roundTrip(type: string, value: readonly unknown[]): Promise<unknown> {
    const select = statement<{ value: unknown }>(`test.array-${type}`, `select $1::${type}[] as value`)
    const [row] = await database.db.withTx({ role: 'lookup' }, (tx) => tx.rows(select, [value]))
    return row!.value
  }

  const nullable = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(fc.option(arbitrary, { nil: null }), { maxLength: 20 })
  const stored = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0') && text.isWellFormed())
  const text = fc.oneof(stored, fc.constantFrom('', 'null', 'NULL', '{}', ',', '"', '\\', '\\"', ' ', 'a,b'))
  const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
  const at = fc.integer({ min: Date.UTC(1000, 0), max: 253_402_300_799_999 })
  const repeated = <T>(arbitrary: fc.Arbitrary<T>) =>
    fc
      .tuple(nullable(arbitrary), fc.integer({ min: 1, max: 3 }))
      .map(([list, times]) => list.flatMap((one) => Array<typeof one>(times).fill(one)))

  test.each<[string, fc.Arbitrary<unknown[]>]>([
    ['text', repeated(text)],
    ['uuid', repeated(fc.uuid())],
    ['uuid', fc.array(fc.uuid(), { minLength: 1, maxLength: 20 })],
    ['bytea', repeated(bytes)],
    ['int8', repeated(fc.maxSafeInteger())],
    ['boolean', repeated(fc.boolean())],
  ])('%s: whatever is in them arrives as it was', async (type, values) => {
    await fc.assert(
      fc.asyncProperty(values, async (list) => {
        expect(await roundTrip(type, list)).toEqual(list)
      }),
      { numRuns: 60 },
    )
  })

  test('instants arrive to the millisecond', async () => {
    await fc.assert(
      fc.asyncProperty(repeated(at), async (list) => {
        const dates = list.map((ms) => (ms === null ? null : new Date(ms)))
        expect(await roundTrip('timestamptz', dates)).toEqual(list.map((ms) => (ms === null ? null : instant(ms))))
      }),
      { numRuns: 60 },
    )
  })
})

test('what an array may not mix is a programmer error', () => {
  expect(() => encodeArray([Buffer.from('a'), 'b'])).toThrow('something else')
})
