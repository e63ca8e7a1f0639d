import { code, escape, table, type Html } from './reference-html.ts'

/** JSON Schema 2020-12, as far as the contract uses it. */
export interface JsonSchema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | JsonSchema
  readonly items?: JsonSchema
  readonly minItems?: number
  readonly maxItems?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly pattern?: string
  readonly default?: unknown
  readonly description?: string
}

/** Patterns that have a name: what they take, and what they do not. */
const FORMATS = [
  { name: 'UUIDv7', sample: '0198c2f4-7b1a-7c3e-9d2a-5f6e7a8b9c0d', not: 'b4c1d2e3-0f1a-4b2c-8d3e-4f5a6b7c8d9e' },
  { name: 'UUID', sample: 'b4c1d2e3-0f1a-4b2c-8d3e-4f5a6b7c8d9e', not: 'x' },
  { name: 'time, RFC 3339, UTC, with milliseconds', sample: '2026-01-31T09:30:00.000Z', not: 'x' },
  { name: 'one line of printable text', sample: 'Alice Marsh, RN', not: 'two\nlines' },
] as const

export function formatOf(pattern: string): (typeof FORMATS)[number] | undefined {
  const regex = new RegExp(pattern, 'u')
  return FORMATS.find(({ sample, not }) => regex.test(sample) && !regex.test(not))
}

/** What a value may be, in one cell: `Role or null`, `list of UUID`. Schemas with a name lead to their table. */
export function renderType(schema: JsonSchema): Html {
  if (schema.$ref !== undefined) return `<a href="#${schemaId(schema.$ref)}">${nameOf(schema.$ref)}</a>`
  if (schema.const !== undefined) return code(JSON.stringify(schema.const))
  if (schema.enum !== undefined) return schema.enum.map((one) => code(JSON.stringify(one))).join(' or ')
  const variants = schema.anyOf ?? schema.oneOf
  if (variants !== undefined) return variants.map(renderType).join(' or ')
  if (schema.type === 'array') return `list of ${schema.items === undefined ? 'anything' : renderType(schema.items)}`
  if (schema.type === 'object' && typeof schema.additionalProperties === 'object')
    return `object of ${renderType(schema.additionalProperties)}`
  const format = schema.pattern === undefined ? undefined : formatOf(schema.pattern)
  if (format !== undefined) return format.name
  return typeof schema.type === 'object' ? schema.type.join(' or ') : (schema.type ?? 'anything')
}

/** What the type does not say: lengths, bounds, pattern, default. */
export function renderConstraints(schema: JsonSchema): Html {
  const { minLength, maxLength, minItems, maxItems, minimum, maximum, pattern } = schema
  const inner = [schema.items, ...(schema.anyOf ?? [])].filter((one) => one !== undefined).map(renderConstraints)
  return [
    ...inner,
    renderRange(minLength, maxLength, 'characters'),
    renderRange(minItems, maxItems, 'items'),
    renderRange(
      minimum === Number.MIN_SAFE_INTEGER ? undefined : minimum,
      maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum,
      '',
    ),
    pattern === undefined || formatOf(pattern) !== undefined ? '' : `matches ${code(pattern)}`,
    schema.default === undefined ? '' : `default ${code(JSON.stringify(schema.default))}`,
    schema.description === undefined ? '' : escape(schema.description),
  ]
    .filter((text) => text !== '')
    .join('; ')
}

function renderRange(min: number | undefined, max: number | undefined, unit: string): string {
  const range = min === undefined ? `at most ${max}` : max === undefined ? `at least ${min}` : `${min} to ${max}`
  return min === undefined && max === undefined ? '' : `${range} ${unit}`.trim()
}

/**
 * A table of all fields, inner ones as `sender.userId` and `items[].seq`; a table for each variant; a sentence when there
 * is no field.
 *
 * @param what  whose fields they are
 */
export function renderFields(what: string, schema: JsonSchema): Html {
  const variants = (schema.oneOf ?? []).filter(({ properties }) => properties !== undefined)
  if (variants.length > 1)
    return variants.map((variant) => renderFields(`${what}${describeVariant(variant)}`, variant)).join('')
  const rows = listRows('', schema)
  if (rows.length > 0) return table(`Fields of ${what}`, ['Field', 'Type', 'Notes'], rows)
  const constraints = renderConstraints(schema)
  return `<p>${renderType(schema)}${constraints === '' ? '' : `; ${constraints}`}</p>`
}

/** By the field that is always the same in it. */
function describeVariant({ properties = {} }: JsonSchema): string {
  const type = Object.entries(properties).find(([, field]) => typeof field.const === 'string')
  return type === undefined ? '' : ` where ${type[0]} is ${JSON.stringify(type[1].const)}`
}

function listRows(path: string, schema: JsonSchema): readonly (readonly Html[])[] {
  const variants = (schema.oneOf ?? schema.anyOf ?? []).filter(({ properties }) => properties !== undefined)
  if (schema.properties === undefined) return variants.flatMap((variant) => listRows(path, variant))
  const entries = Object.entries(schema.properties)
  const same = entries.length > 10 && new Set(entries.map(([, field]) => JSON.stringify(field))).size === 1
  const shown = same ? [[entries.map(([name]) => name).join(', '), entries[0]![1]] as const] : entries
  return shown.flatMap(([name, field]) => {
    const isRequired = same || (schema.required ?? []).includes(name)
    const notes = [isRequired ? '' : 'may be left out', renderConstraints(field)].filter((text) => text !== '')
    const row = [code(`${path}${name}`), renderType(field), notes.join('; ')]
    const isList = field.type === 'array'
    const inner = same ? `${path}….` : `${path}${name}${isList ? '[]' : ''}.`
    return [row, ...listRows(inner, (isList ? field.items : field) ?? {})]
  })
}

export function schemaId(ref: string): string {
  return `schema-${nameOf(ref)}`
}

function nameOf(ref: string): string {
  return ref.slice(ref.lastIndexOf('/') + 1)
}
