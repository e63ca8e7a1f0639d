import { formatOf, type JsonSchema } from './reference-schema.ts'

/** Made-up values by the names of fields, where the schema alone would give a word that says nothing. */
const BY_NAME: Readonly<Record<string, string>> = {
  tenant: 'demo',
  login: 'alice.nurse',
  password: 'copper kettle harbor 42',
  currentPassword: 'copper kettle harbor 42',
  newPassword: 'seventeen quiet herons',
  displayName: 'Alice Marsh, RN',
  name: 'Ward tablet',
  title: 'Cardiology team',
  text: 'How did you sleep?',
}
const WORDS = ['example', 'example-of-a-value-that-is-long-enough-for-what-is-asked', '1', 'A'.repeat(43)]

/**
 * A value that the schema takes: of objects the fields that must be there, or all when hardly one must.
 *
 * @param schemas  by the names in `$ref`
 * @param name     of the field, for a value that people understand
 */
export function exampleOf(schema: JsonSchema, schemas: Readonly<Record<string, JsonSchema>>, name = ''): unknown {
  if (schema.$ref !== undefined) {
    const target = schemas[schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1)]
    return target === undefined ? null : exampleOf(target, schemas, name)
  }
  if (schema.const !== undefined) return schema.const
  if (schema.default !== undefined) return schema.default
  if (schema.enum !== undefined) return schema.enum[0]
  const [variant] = schema.anyOf ?? schema.oneOf ?? []
  if (variant !== undefined) return exampleOf(variant, schemas, name)
  if (schema.properties !== undefined) return exampleOfObject(schema, schemas, name === '' ? 1 : 0)
  switch (typeof schema.type === 'object' ? schema.type[0] : schema.type) {
    case 'array':
      return Array.from({ length: Math.max(1, schema.minItems ?? 0) }, () =>
        exampleOf(schema.items ?? {}, schemas, name),
      )
    case 'string':
      return exampleOfText(schema, name)
    case 'integer':
    case 'number':
      return Math.max(1, schema.minimum ?? 1)
    case 'boolean':
      return true
    default:
      return {}
  }
}

/** @param enough  a whole body of so few fields that must be there says nothing yet */
function exampleOfObject(schema: JsonSchema, schemas: Readonly<Record<string, JsonSchema>>, enough: number): unknown {
  const fields = Object.entries(schema.properties ?? {})
  const required = fields.filter(([name]) => schema.required?.includes(name))
  const shown = required.length > enough ? required : fields
  return Object.fromEntries(shown.map(([name, field]) => [name, exampleOf(field, schemas, name)]))
}

function exampleOfText({ pattern, minLength = 0, maxLength = Infinity }: JsonSchema, name: string): string {
  const format = pattern === undefined ? undefined : formatOf(pattern)
  const words = [BY_NAME[name] ?? '', format?.sample ?? '', ...WORDS]
  const fits = (word: string) =>
    word !== '' &&
    word.length >= minLength &&
    word.length <= maxLength &&
    (pattern === undefined || new RegExp(pattern, 'u').test(word))
  return words.find(fits) ?? ''
}
