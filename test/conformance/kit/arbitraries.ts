/**
 * Input for fuzzing, derived from the contract's schemas: values that fit, and the same broken in ways that people, clients
 * of another version and attackers break them. Everything comes from one seed.
 */

import fc from 'fast-check'
import { z } from 'zod'

export type Json = Readonly<Record<string, unknown>>
/** Ids that exist, by the name under which the contract asks for them; drawn more often than made-up ones. */
export type Pools = Readonly<Record<string, readonly unknown[]>>

const EXTREME_IDS = [
  '00000000-0000-7000-8000-000000000000',
  'ffffffff-ffff-7fff-bfff-ffffffffffff',
  '00000000-0000-1000-8000-000000000000',
  '01a20255-14c0-7de7-a774-79b21244eb24',
]
const INSTANTS = [
  '0000-01-01T00:00:00.000Z',
  '9999-12-31T23:59:59.999Z',
  '1970-01-01T00:00:00.000Z',
  '2024-02-29T12:00:00.000Z',
]

/** Values that a schema takes, as far as its form says. */
export function fitting(schema: z.ZodType, pools: Pools): fc.Arbitrary<unknown> {
  const { $defs = {}, ...json } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Json & {
    $defs?: Json
  }
  return fromJson(json, '', { pools, definitions: $defs as Record<string, Json> })
}

interface Sources {
  readonly pools: Pools
  readonly definitions: Readonly<Record<string, Json>>
}

function fromJson(schema: Json, name: string, sources: Sources): fc.Arbitrary<unknown> {
  const pool = sources.pools[name]
  const free = byForm(schema, name, sources)
  return pool === undefined
    ? free
    : fc.oneof({ arbitrary: fc.constantFrom(...pool), weight: 9 }, { arbitrary: free, weight: 1 })
}

function byForm(schema: Json, name: string, sources: Sources): fc.Arbitrary<unknown> {
  if (typeof schema['$ref'] === 'string')
    return fromJson(sources.definitions[schema['$ref'].split('/').at(-1)!] ?? {}, name, sources)
  if ('const' in schema) return fc.constant(schema['const'])
  if (Array.isArray(schema['enum'])) return fc.constantFrom(...(schema['enum'] as unknown[]))
  const either = (schema['anyOf'] ?? schema['oneOf']) as readonly Json[] | undefined
  if (either !== undefined) return fc.oneof(...either.map((one) => fromJson(one, name, sources)))
  switch (schema['type']) {
    case 'object':
      return fromObject(schema, sources)
    case 'array':
      return fromArray(schema, name, sources)
    case 'integer':
    case 'number':
      return fc.integer({
        min: (schema['minimum'] as number) ?? 0,
        max: Math.min((schema['maximum'] as number) ?? 1_000, 1_000_000),
      })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'string':
      return fromString(schema)
    default:
      return fc.jsonValue({ maxDepth: 2 })
  }
}

function fromObject(schema: Json, sources: Sources): fc.Arbitrary<unknown> {
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, Json>)
  const required = (schema['required'] ?? []) as string[]
  return fc.record(Object.fromEntries(properties.map(([key, value]) => [key, fromJson(value, key, sources)])), {
    requiredKeys: required,
  })
}

function fromArray(schema: Json, name: string, sources: Sources): fc.Arbitrary<unknown> {
  const singular = name.replace(/s$/, '')
  const item = fromJson(
    (schema['items'] ?? {}) as Json,
    name.endsWith('Ids') ? singular.replace('member', 'user') : singular,
    sources,
  )
  return fc.array(item, {
    minLength: (schema['minItems'] as number) ?? 0,
    maxLength: Math.min((schema['maxItems'] as number) ?? 4, 4),
  })
}

function fromString(schema: Json): fc.Arbitrary<string> {
  const {
    pattern,
    minLength = 0,
    maxLength = 60,
  } = schema as { pattern?: string; minLength?: number; maxLength?: number }
  if (pattern?.includes('[0-9a-f]{12}')) return fc.oneof(fc.uuid({ version: 7 }), fc.constantFrom(...EXTREME_IDS))
  if (pattern?.includes('T(')) return fc.constantFrom(...INSTANTS)
  const text = fc.string({ unit: 'binary', minLength, maxLength: Math.min(maxLength, 60) })
  if (pattern === undefined) return text
  const form = new RegExp(pattern, 'u')
  return fc
    .oneof(
      fc.constantFrom('Ward 3', 'nora', 'wound-care', '42', '\u{1f48a} \u05d0\u0301'),
      text.map((one) => one.replaceAll(/[^a-z0-9-]/g, 'x')),
    )
    .filter((one) => form.test(one))
}

/** What may stand where something else should: other types, extremes of numbers, of length and of Unicode. */
export const strangers: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  -0,
  1.5,
  1e308,
  Number.MAX_SAFE_INTEGER,
  Number.MAX_SAFE_INTEGER + 1,
  -(2 ** 63),
  4_294_967_296,
  '',
  ' ',
  '0',
  'null',
  '\u0000',
  'a\u0000b',
  '\ud800',
  '\udfff\ud800',
  '\ufeff',
  '\u202eevil',
  'e\u0301'.repeat(50),
  '\u{1f469}\u200d\u{1f469}\u200d\u{1f467}'.repeat(20),
  'İIıi'.repeat(30),
  'a'.repeat(5_000),
  "'; drop table sotto.entry; --",
  '${7*7}{{7*7}}<script>',
  '../../../etc/passwd',
  '%00%2e%2e%2f',
  ...EXTREME_IDS,
  ...INSTANTS,
  '2024-02-30T12:00:00.000Z',
  '01A20255-14C0-7DE7-A774-79B21244EB24',
  [],
  {},
  [[[[[]]]]],
  { toString: 1 },
  { length: 1e9 },
  Array.from({ length: 300 }, (_, index) => index),
]

export type Breaking = 'drop' | 'add' | 'swap' | 'repeat' | 'nest'

/** One change somewhere inside of a value. */
export const breaking: fc.Arbitrary<(value: unknown) => unknown> = fc
  .record({
    kind: fc.constantFrom<Breaking>('drop', 'add', 'swap', 'swap', 'swap', 'repeat', 'nest'),
    at: fc.nat(),
    stranger: fc.constantFrom(...strangers),
  })
  .map(
    ({ kind, at, stranger }) =>
      (value) =>
        change(value, kind, at, stranger),
  )

function change(value: unknown, kind: Breaking, at: number, stranger: unknown): unknown {
  const copy = structuredClone(value)
  const places = placesOf(copy)
  if (places.length === 0) return stranger
  const { holder, key } = places[at % places.length]!
  if (kind === 'drop') delete holder[key]
  if (kind === 'add') holder[`${key}X`] = stranger
  if (kind === 'swap') holder[key] = stranger
  if (kind === 'repeat') holder[key] = [holder[key], holder[key]]
  if (kind === 'nest') holder[key] = { [key]: holder[key] }
  return copy
}

function placesOf(value: unknown): { readonly holder: Record<string, unknown>; readonly key: string }[] {
  if (typeof value !== 'object' || value === null) return []
  const holder = value as Record<string, unknown>
  return Object.keys(holder).flatMap((key) => [{ holder, key }, ...placesOf(holder[key])])
}

/** Text that is no longer what it was: cut off, followed by more, with a byte changed, doubled, or nothing but noise. */
export const garbling: fc.Arbitrary<(text: string) => Buffer> = fc
  .record({ how: fc.nat({ max: 5 }), at: fc.nat(), bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }) })
  .map(({ how, at, bytes }) => (text) => {
    const whole = Buffer.from(text)
    const place = whole.length === 0 ? 0 : at % whole.length
    const parts: readonly Buffer[][] = [
      [whole.subarray(0, place)],
      [whole, Buffer.from(bytes)],
      [whole.subarray(0, place), Buffer.from(bytes), whole.subarray(place + 1)],
      [whole, whole],
      [Buffer.from(bytes)],
      [Buffer.from('{"a":'.repeat(at % 40)), whole, Buffer.from('}'.repeat(at % 40))],
    ]
    return Buffer.concat(parts[how]!)
  })

/** @param percent  how often there is one */
export function sometimes<T>(percent: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.oneof({ arbitrary, weight: percent }, { arbitrary: fc.constant(null), weight: 100 - percent })
}
