import {
  closeCodes,
  limitSpecs,
  operations,
  problemCatalogue,
  renderOpenApi,
  renderSchema,
  socketCommands,
  type Command,
  type LimitName,
  type Limits,
  type Operation,
} from '@sotto/protocol'
import type { App } from './app.ts'
import { code, escape, page, STYLE, table, type Html } from './reference-html.ts'
import { renderCommand, renderOperation, type OpenApi } from './reference-operation.ts'
import { renderFields, schemaId, type JsonSchema } from './reference-schema.ts'

export interface ReferenceOptions {
  readonly version: string
  /** As they are on this server. */
  readonly limits: Limits
}

/**
 * The API page: the contract for people, printed from the OpenAPI document and the objects that the server runs. It needs
 * no script, so the strict policy of everything else holds here too.
 */
export function addReferencePage(app: App, options: ReferenceOptions): void {
  const pages = { '/reference': renderIndex(options), '/reference/problems': renderProblemPage() }
  for (const [url, html] of Object.entries(pages)) {
    app.get(url, async (_request, reply) => reply.type('text/html; charset=utf-8').send(html))
  }
  app.get('/reference/style.css', async (_request, reply) => reply.type('text/css; charset=utf-8').send(STYLE))
}

/** The page as HTML. */
export function renderIndex({ version, limits }: ReferenceOptions): Html {
  const document = renderOpenApi({ version }) as unknown as OpenApi
  const byTag = Map.groupBy(Object.values(operations) as Operation[], ({ tag }) => tag)
  const sections = [...byTag].map(
    ([tag, list]) =>
      `<section aria-labelledby="${tag}"><h2 id="${tag}">${capitalised(tag)}</h2>${list.map((one) => renderOperation(one, document)).join('')}</section>`,
  )
  // The commands bring schemas of their own, so they come before the list of all.
  const schemas: Record<string, JsonSchema> = { ...document.components.schemas }
  const socket = renderSocket(schemas)
  return page(
    `API ${version}`,
    `${INTRODUCTION}${renderNavigation(byTag)}`,
    `${sections.join('')}${socket}${renderSchemas(schemas)}<section aria-labelledby="limits"><h2 id="limits">Limits</h2>${renderLimits(limits)}</section>`,
  )
}

const INTRODUCTION = `<p>For programs: <a href="/v1/openapi.json">OpenAPI 3.1</a> and <a href="/v1/asyncapi.json">AsyncAPI 3.0</a>. What can go wrong: <a href="/reference/problems">the problem codes</a>. All of it is printed from what this server runs.</p>
<p>In the examples <code>SOTTO</code> is the address of this server, and <code>TOKEN</code> an access token, which <a href="#createSession">createSession</a> answers. Their values are made up. Unknown fields are refused.</p>`

function renderNavigation(byTag: ReadonlyMap<string, readonly Operation[]>): Html {
  const groups = [...byTag].map(
    ([tag, list]) =>
      `<h2><a href="#${tag}">${capitalised(tag)}</a></h2><ul>${list.map(({ operationId }) => `<li><a href="#${operationId}">${operationId}</a></li>`).join('')}</ul>`,
  )
  const commands = Object.keys(socketCommands).map((op) => `<li><a href="#${op}">${op}</a></li>`)
  return `<nav aria-label="Operations">${groups.join('')}<h2><a href="#socket">Socket</a></h2><ul>${commands.join('')}</ul><h2><a href="#schemas">Schemas</a>, <a href="#limits">limits</a></h2></nav>`
}

/** @param schemas  gets those that only commands use */
function renderSocket(schemas: Record<string, JsonSchema>): Html {
  const commands = (Object.values(socketCommands) as Command[]).map((command) => {
    const body = renderSchema(command.body, 'input', schemas as Record<string, unknown>) as JsonSchema
    const reply = renderSchema(command.reply, 'output', schemas as Record<string, unknown>) as JsonSchema
    return renderCommand(command, { body, reply, all: schemas })
  })
  const rows = Object.entries(closeCodes).map(([number, { meaning, then }]) => [
    code(number),
    escape(meaning),
    escape(then),
  ])
  return `<section aria-labelledby="socket"><h2 id="socket">Socket ${code('/v1/socket')}</h2><p>With the subprotocols ${code('sotto.v1')} and ${code('sotto.ticket.<ticket>')}; <a href="#createSocketTicket">createSocketTicket</a> answers the ticket. Every command has an ${code('id')} of the client's choice, and is answered by one ${code('reply')} or ${code('error')} with the same.</p>${commands.join('')}<h3 id="close-codes">Close codes</h3>${table('Codes with which the server closes a socket', ['Code', 'Meaning', 'The client does'], rows)}</section>`
}

function renderSchemas(schemas: Readonly<Record<string, JsonSchema>>): Html {
  const articles = Object.entries(schemas)
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(
      ([name, schema]) =>
        `<article id="${schemaId(name)}"><h3>${escape(name)}</h3>${renderFields(name, schema)}</article>`,
    )
  return `<section aria-labelledby="schemas"><h2 id="schemas">Schemas</h2>${articles.join('')}</section>`
}

function renderLimits(limits: Limits): Html {
  const rows = (Object.keys(limitSpecs) as LimitName[]).map((name) => {
    const { value, unit, meaning } = limitSpecs[name]
    const here = limits[name] === value ? `${value} ${unit}` : `${limits[name]} ${unit} (default ${value})`
    return [code(name), here, escape(meaning)]
  })
  return `<p>As they are on this server; for programs: <a href="/v1/limits">/v1/limits</a>.</p>${table('Limits of this server', ['Name', 'Value', 'Meaning'], rows)}`
}

function renderProblemPage(): Html {
  const articles = Object.entries(problemCatalogue).map(
    ([problemCode, { title, advice, status, retry }]) =>
      `<article id="${problemCode.replace('/', '-')}"><h2>${code(problemCode)}</h2><p>${escape(title)}. ${escape(advice)}</p><p class="quiet">${status} · retry ${retry}</p></article>`,
  )
  return page(
    'Problem codes',
    '<p>Problems are <code>application/problem+json</code> (RFC 9457). A code is never renamed and never reused. <a href="/reference">Back to the API</a>.</p>',
    articles.join(''),
  )
}

function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}
