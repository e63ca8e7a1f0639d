import { z } from 'zod'
import type { Operation } from './http/operation.ts'
import { operations } from './http/operations.ts'
import { problemCatalogue, type ProblemCode } from './problems/catalogue.ts'
import { problemSchema } from './problems/problem.ts'

type Json = Record<string, unknown>

/** Codes that any operation may answer: the way in has them, whatever was asked. */
const commonProblems: readonly ProblemCode[] = [
  'platform/invalid-input',
  'platform/malformed',
  'platform/too-large',
  'platform/origin-refused',
  'platform/rate-limited',
  'platform/unavailable',
  'platform/draining',
  'platform/internal',
  'keys/tampered',
]
const bodyProblems: readonly ProblemCode[] = ['platform/unsupported-media-type']
const sessionProblems: readonly ProblemCode[] = [
  'identity/unauthenticated',
  'identity/token-expired',
  'identity/session-ended',
  'keys/unreadable',
]

/** Every code that an operation may answer: its own, and those of the way in. */
export function listProblemsOf(operation: Operation): readonly ProblemCode[] {
  const { problems, method, auth } = operation
  const body = method === 'GET' ? [] : bodyProblems
  return [...new Set([...problems, ...commonProblems, ...body, ...(auth === 'session' ? sessionProblems : [])])]
}

export interface Rendering {
  readonly version: string
}

/** Prints the HTTP contract as an OpenAPI 3.1 document (schemas are JSON Schema 2020-12). */
export function renderOpenApi({ version }: Rendering): Json {
  const components: Json = {}
  const paths: Record<string, Json> = {}
  for (const operation of Object.values(operations) as Operation[]) {
    const path = operation.path.replaceAll(/:([A-Za-z]+)/g, '{$1}')
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: renderOperation(operation, components) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sotto',
      version,
      description: 'Chat for healthcare software. Unknown fields are refused; every act and every refusal is recorded.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ session: [] }],
    tags: [...new Set(Object.values(operations).map((operation) => operation.tag))].map((name) => ({ name })),
    paths,
    components: { schemas: components, securitySchemes: { session: { type: 'http', scheme: 'bearer' } } },
  }
}

function renderOperation(operation: Operation, components: Json): Json {
  const { status, schema } = operation.reply
  return {
    operationId: operation.operationId,
    summary: operation.summary,
    tags: [operation.tag],
    ...(operation.auth === 'none' ? { security: [] } : {}),
    'x-audit-action': typeof operation.audit === 'string' ? operation.audit : null,
    parameters: [
      ...renderParameters(operation.params, 'path', components),
      ...renderParameters(operation.query, 'query', components),
    ],
    ...(operation.body
      ? { requestBody: { required: true, content: jsonContent(renderSchema(operation.body, 'input', components)) } }
      : {}),
    responses: {
      [status]: {
        description: operation.summary,
        ...(schema ? { content: jsonContent(renderSchema(schema, 'output', components)) } : {}),
      },
      ...renderProblems(operation, components),
    },
  }
}

function renderParameters(schema: z.ZodObject | undefined, where: 'path' | 'query', components: Json): Json[] {
  if (!schema) return []
  return Object.entries(schema.shape).map(([name, field]) => ({
    name,
    in: where,
    required: where === 'path' || !(field as z.ZodType).safeParse(undefined).success,
    schema: renderSchema(field as z.ZodType, 'input', components),
  }))
}

function renderProblems(operation: Operation, components: Json): Json {
  const byStatus = new Map<number, ProblemCode[]>()
  for (const code of listProblemsOf(operation)) {
    const { status } = problemCatalogue[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  const content = { 'application/problem+json': { schema: renderSchema(problemSchema, 'output', components) } }
  return Object.fromEntries(
    [...byStatus].map(([status, list]) => [
      status,
      { description: list.map((code) => `\`${code}\``).join(', '), content },
    ]),
  )
}

function jsonContent(schema: Json): Json {
  return { 'application/json': { schema } }
}

/** Schemas with an id become components; the rest stays in place. Input and output forms differ where defaults apply. */
export function renderSchema(schema: z.ZodType, io: 'input' | 'output', components: Json): Json {
  const {
    $schema: _dialect,
    $defs,
    ...json
  } = z.toJSONSchema(schema, { io, unrepresentable: 'any', target: 'draft-2020-12' }) as Json & {
    $defs?: Record<string, Json>
  }
  for (const [name, definition] of Object.entries($defs ?? {})) components[name] = relocate(definition)
  const id = json['id']
  if (typeof id !== 'string') return relocate(json)
  components[id] = relocate(json)
  return { $ref: `#/components/schemas/${id}` }
}

/** Turns `#/$defs/X` into `#/components/schemas/X` and drops the ids that served to name components. */
function relocate(json: Json): Json {
  return JSON.parse(
    JSON.stringify(json, (key, value: unknown) =>
      key === 'id' && typeof value === 'string' ? undefined : value,
    ).replaceAll('"#/$defs/', '"#/components/schemas/'),
  ) as Json
}
