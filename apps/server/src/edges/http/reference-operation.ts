import {
  listProblemsOf,
  problemCatalogue,
  type AuditAction,
  type Command,
  type Operation,
  type ProblemCode,
  type Unaudited,
} from '@sotto/protocol'
import { exampleOf } from './reference-example.ts'
import { code, escape, linkToProblem, table, type Html } from './reference-html.ts'
import { renderConstraints, renderFields, renderType, type JsonSchema } from './reference-schema.ts'

/** The parts of the OpenAPI document that the page is made from. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> }
}

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema: JsonSchema }>>
}

interface OpenApiOperation {
  readonly operationId: string
  readonly parameters: readonly {
    readonly name: string
    readonly in: 'path' | 'query'
    readonly required: boolean
    readonly schema: JsonSchema
  }[]
  readonly requestBody?: Content
  readonly responses: Readonly<Record<string, Content>>
}

/** One operation: who may call it, with what, what comes back, what can go wrong, and a call to copy. */
export function renderOperation(operation: Operation, document: OpenApi): Html {
  const { operationId, method, path, summary, auth, reply } = operation
  const described = findOperation(document, operationId)
  const body = schemaIn(described.requestBody)
  const facts = [
    code(operationId),
    auth === 'none' ? 'without sign-in' : 'signed in',
    renderAudit(operation.audit),
    renderActivity(operation.activity),
  ]
  return `<article id="${operationId}"><h3>${code(`${method} ${path}`)}</h3><p>${escape(summary)}.</p><p class="quiet">${facts.join(' · ')}</p>
${renderParameters(described)}
${body === undefined ? '' : `<h4>Body</h4>${renderFields(`the body of ${operationId}`, body)}`}
<h4>Reply <span class="quiet">${reply.status}</span></h4>${renderReply(`the reply of ${operationId}`, schemaIn(described.responses[reply.status]))}
<h4>Problems</h4>${renderProblems(listProblemsOf(operation))}
<h4>Example</h4><pre><code>${escape(renderCurl(operation, document))}</code></pre></article>`
}

/** One socket command, in the same order. */
export function renderCommand(
  command: Command,
  schemas: { readonly body: JsonSchema; readonly reply: JsonSchema; readonly all: OpenApi['components']['schemas'] },
): Html {
  const example = { op: command.op, id: 1, ...(exampleOf(schemas.body, schemas.all) as object) }
  return `<article id="${command.op}"><h3>${code(command.op)}</h3><p>${escape(command.summary)}.</p><p class="quiet">${renderAudit(command.audit)} · ${renderActivity(command.activity)}</p>
<h4>Command</h4>${renderFields(`${command.op}, beside op and id`, schemas.body)}
<h4>Reply</h4>${renderReply(`the reply to ${command.op}`, schemas.reply)}
<h4>Problems</h4>${renderProblems(command.problems)}
<h4>Example</h4><pre><code>${escape(JSON.stringify(example))}</code></pre></article>`
}

/** A call as it is typed in a shell, where SOTTO is the address of the server and TOKEN an access token. */
export function renderCurl({ operationId, method, path, auth }: Operation, document: OpenApi): string {
  const { schemas } = document.components
  const { parameters, requestBody } = findOperation(document, operationId)
  const example = (name: string) =>
    String(exampleOf(parameters.find((one) => one.name === name)!.schema, schemas, name))
  const query = parameters.filter((one) => one.in === 'query' && one.required)
  const search = query.map(({ name }) => `${name}=${encodeURIComponent(example(name))}`).join('&')
  const url = `${path.replaceAll(/:([A-Za-z]+)/g, (_, name: string) => example(name))}${search === '' ? '' : `?${search}`}`
  const body = schemaIn(requestBody)
  return [
    `curl ${method === 'GET' ? '' : `-X ${method} `}"$SOTTO${url}"`,
    ...(auth === 'none' ? [] : ['-H "authorization: Bearer $TOKEN"']),
    ...(body === undefined
      ? []
      : [
          `-H 'content-type: application/json'`,
          `-d '${JSON.stringify(exampleOf(body, schemas)).replaceAll("'", `'\\''`)}'`,
        ]),
  ].join(' \\\n  ')
}

function renderParameters({ operationId, parameters }: OpenApiOperation): Html {
  if (parameters.length === 0) return ''
  const rows = parameters.map(({ name, in: place, required, schema }) => [
    code(name),
    `${place}; ${renderType(schema)}`,
    [required ? '' : 'may be left out', renderConstraints(schema)].filter((text) => text !== '').join('; '),
  ])
  return `<h4>Parameters</h4>${table(`Parameters of ${operationId}`, ['Name', 'Where and type', 'Notes'], rows)}`
}

function renderReply(what: string, schema: JsonSchema | undefined): Html {
  if (schema === undefined) return '<p>No body.</p>'
  if (schema.$ref !== undefined) return `<p>${renderType(schema)}</p>`
  return renderFields(what, schema)
}

function renderProblems(codes: readonly ProblemCode[]): Html {
  if (codes.length === 0) return '<p>None of its own.</p>'
  const byStatus = [...Map.groupBy(codes, (one) => problemCatalogue[one].status)].toSorted(([a], [b]) => a - b)
  return `<ul>${byStatus.map(([status, list]) => `<li>${status}: ${list.map(linkToProblem).join(', ')}</li>`).join('')}</ul>`
}

function renderAudit(audit: AuditAction | Unaudited): Html {
  return typeof audit === 'string' ? `recorded as ${code(audit)}` : `not recorded: ${escape(audit.unaudited)}`
}

function renderActivity(counts: boolean): Html {
  return counts ? 'counts as activity' : 'does not count as activity'
}

function schemaIn(content: Content | undefined): JsonSchema | undefined {
  return content?.content?.['application/json']?.schema
}

function findOperation(document: OpenApi, operationId: string): OpenApiOperation {
  return Object.values(document.paths)
    .flatMap((methods) => Object.values(methods))
    .find((one) => one.operationId === operationId)!
}
