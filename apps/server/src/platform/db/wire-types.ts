/**
 * How values cross the wire, decided once.
 *
 * From PostgreSQL: int2, int4, float8, bool as they are · int8 → number, asserted to be a safe integer · text, uuid →
 * string · bytea → Buffer · timestamptz → Instant, cut to the millisecond · date → 'YYYY-MM-DD' · json, jsonb → parsed ·
 * numeric → string · arrays of these → arrays. `timestamp` without a zone has no meaning here and throws.
 *
 * To PostgreSQL: number, string, boolean, null, bigint · Uint8Array → bytea · an array → a PostgreSQL array (for
 * `unnest`) · an Instant goes as `toRfc3339(at)` · jsonb goes as `JSON.stringify(value)`, never as an object, because an
 * array would be taken for a PostgreSQL array. Sealed values (Phi, Secret) and undefined are programmer errors: sealed
 * ones would be stored as their mark.
 */

import assert from 'node:assert'
import pg from 'pg'
import { Phi, Secret } from '../phi/phi.ts'
import { instant, type Instant } from '../time/clock.ts'
import { encodeArray } from './wire-arrays.ts'

type Parse = (text: string) => unknown

const oid = {
  int8: 20,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  int8Array: 1016,
  dateArray: 1182,
  timestamptzArray: 1185,
  uuidArray: 2951,
  textArray: 1009,
  byteaArray: 1001,
  bytea: 17,
  jsonbArray: 3807,
} as const

export function parseInt8(text: string): number {
  const value = Number(text)
  assert(Number.isSafeInteger(value), 'An int8 beyond 2^53 reached the server')
  return value
}

const FOUR_CENTURIES_MS = 146_097 * 86_400_000

const timestamptzText =
  /^(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?([+-])(\d\d)(?::?(\d\d))?(?::(\d\d))?$/

/**
 * @param text  PostgreSQL's ISO output, in any zone; one of a local mean time, before there were zones, has seconds
 */
export function parseTimestamptz(text: string): Instant {
  const parts = timestamptzText.exec(text)
  assert(parts !== null, 'A timestamptz outside the calendar reached the server')
  const [
    ,
    year,
    month,
    day,
    hour,
    minute,
    second,
    fraction = '',
    sign,
    zoneHours,
    zoneMinutes = '0',
    zoneSeconds = '0',
  ] = parts
  const ms = Number(fraction.slice(0, 3).padEnd(3, '0'))
  // Date.UTC takes a year below 100 for one of the twentieth century. Every 400 years the calendar is the same again.
  const later = Date.UTC(
    Number(year) + 400,
    Number(month) - 1,
    Number(day),
    Number(hour),
    Number(minute),
    Number(second),
    ms,
  )
  const local = later - FOUR_CENTURIES_MS
  const zoneMs = ((Number(zoneHours) * 60 + Number(zoneMinutes)) * 60 + Number(zoneSeconds)) * 1_000
  return instant(sign === '+' ? local - zoneMs : local + zoneMs)
}

const parseTextArray = pg.types.getTypeParser(oid.textArray as never, 'text') as (text: string) => (string | null)[]

function arrayOf(parse: Parse): Parse {
  return (text) => parseTextArray(text).map((element) => (element === null ? null : parse(element)))
}

const asText: Parse = (text) => text

function refuseTimestamp(): never {
  assert.fail('A timestamp without time zone reached the server; use timestamptz')
}

const parsers = new Map<number, Parse>([
  [oid.int8, parseInt8],
  [oid.date, asText],
  [oid.timestamp, refuseTimestamp],
  [oid.timestamptz, parseTimestamptz],
  [oid.int8Array, arrayOf(parseInt8)],
  [oid.dateArray, arrayOf(asText)],
  [oid.timestamptzArray, arrayOf(parseTimestamptz)],
  [oid.uuidArray, arrayOf(asText)],
  [oid.byteaArray, arrayOf(pg.types.getTypeParser(oid.bytea, 'text') as Parse)],
  [oid.jsonbArray, arrayOf((text) => JSON.parse(text) as unknown)],
])

export const wireTypes: pg.CustomTypesConfig = {
  getTypeParser: ((id: number, format: 'text') =>
    parsers.get(id) ?? pg.types.getTypeParser(id, format)) as typeof pg.types.getTypeParser,
}

export function checkParameters(values: readonly unknown[]): unknown[] {
  for (const value of values) {
    assert(value !== undefined, 'A parameter of a statement is undefined')
    assert(!isSealed(Array.isArray(value) ? value[0] : value), 'A sealed value was given to a statement')
  }
  return values.map((value) => (Array.isArray(value) ? encodeArray(value) : value))
}

function isSealed(value: unknown): boolean {
  return value instanceof Phi || value instanceof Secret
}
