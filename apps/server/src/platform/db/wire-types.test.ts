import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds, openTestDatabase, type TestDatabase } from '../../../../../packages/testkit/src/databases.ts'
import { Phi } from '../phi/phi.ts'
import { instant, toRfc3339 } from '../time/clock.ts'
import { statement } from './tx.ts'
import { parseTimestamptz } from './wire-types.ts'

describe.each(databaseKinds)('values on their way through %s', (kind) => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await openTestDatabase(kind)
  })
  afterAll(() => database[Symbol.asyncDispose]())

  async function echo(type: string, value: unknown): Promise<unknown> {
    const select = statement<{ value: unknown }>(`test.echo-${type}`, `select $1::${type} as value`)
    const rows = await database.db.withTx({ role: 'lookup' }, (tx) => tx.rows(select, [value]))
    return rows[0]!.value
  }

  const id = randomUUID()
  test.each([
    ['int8', Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    ['int8', Number.MIN_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
    ['int8', null, null],
    ['int4', -7, -7],
    ['float8', 0.1, 0.1],
    ['boolean', false, false],
    ['text', 'Zoë 👩‍⚕️ "quoted" \\ {braces}', 'Zoë 👩‍⚕️ "quoted" \\ {braces}'],
    ['text', '', ''],
    ['uuid', id, id],
    ['bytea', new Uint8Array([0, 92, 39, 255]), Buffer.from([0, 92, 39, 255])],
    ['bytea', new Uint8Array(0), Buffer.alloc(0)],
    ['jsonb', JSON.stringify([{ a: [1, null] }]), [{ a: [1, null] }]],
    ['date', '1899-12-31', '1899-12-31'],
    ['numeric', '123456789012345678901234567890.5', '123456789012345678901234567890.5'],
    ['timestamptz', toRfc3339(instant(1_795_331_818_094)), 1_795_331_818_094],
    ['timestamptz', '2026-11-22T07:01:03.123999+05:30', Date.parse('2026-11-22T07:01:03.123+05:30')],
    ['timestamptz', '1969-12-31T23:59:59.999Z', -1],
    ['timestamptz', '0099-12-31T23:59:59.999Z', Date.parse('0099-12-31T23:59:59.999Z')],
    ['timestamptz', '0001-01-01T00:00:00Z', Date.parse('0001-01-01T00:00:00Z')],
    ['timestamptz[]', ['0044-02-29T12:00:00Z'], [Date.parse('0044-02-29T12:00:00Z')]],
    ['int8[]', [1, 2 ** 40, null], [1, 2 ** 40, null]],
    ['uuid[]', [id], [id]],
    ['text[]', ['a,b', '"', '\\', ''], ['a,b', '"', '\\', '']],
    ['bytea[]', [Buffer.from([0, 255])], [Buffer.from([0, 255])]],
    ['timestamptz[]', ['2026-11-22T07:01:03Z'], [Date.parse('2026-11-22T07:01:03Z')]],
    ['jsonb[]', [JSON.stringify({ a: '"' })], [{ a: '"' }]],
  ])('%s: %j arrives as %j', async (type, given, expected) => {
    expect(await echo(type, given)).toEqual(expected)
  })

  test('an integer that JavaScript cannot hold fails the transaction instead of being rounded', async () => {
    await expect(echo('int8', '9007199254740992')).rejects.toThrow('2^53')
  })

  test('a timestamp without time zone is refused, because nobody knows when it was', async () => {
    await expect(echo('timestamp', '2026-11-22T07:01:03Z')).rejects.toThrow('timestamptz')
  })

  test('a sealed value cannot be stored as its mark', async () => {
    await expect(echo('text', new Phi('Bob'))).rejects.toThrow('sealed')
    await expect(echo('text[]', [new Phi('Bob')])).rejects.toThrow('sealed')
  })

  test('an undefined parameter is a programmer error, not null', async () => {
    await expect(echo('text', undefined)).rejects.toThrow('undefined')
  })
})

test.each([
  ['2026-11-22 07:01:03+00', '2026-11-22T07:01:03.000Z'],
  ['2026-11-22 07:01:03.5-03:30', '2026-11-22T10:31:03.500Z'],
  ['2026-11-22 07:01:03.000999+00', '2026-11-22T07:01:03.000Z'],
  ['0099-12-31 23:59:59.999+00', '0099-12-31T23:59:59.999Z'],
  ['0004-02-29 00:00:00+00', '0004-02-29T00:00:00.000Z'],
  ['1880-01-01 00:00:00-04:56:02', '1880-01-01T04:56:02.000Z'],
])('the instant %s is %s', (text, expected) => {
  expect(toRfc3339(parseTimestamptz(text))).toBe(expected)
})

test.each(['infinity', '-infinity', '0044-03-15 12:00:00+00 BC'])('%s is no instant', (text) => {
  expect(() => parseTimestamptz(text)).toThrow('outside the calendar')
})
