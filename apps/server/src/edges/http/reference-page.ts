import {
  closeCodes,
  limitSpecs,
  operations,
  problemCatalogue,
  socketCommands,
  type Command,
  type Operation,
} from '@sotto/protocol'
import type { App } from './app.ts'

/**
 * The API page: the contract as one page of plain HTML, printed from the same objects that the server runs. It needs no
 * script, so the strict policy of everything else holds here too.
 */
export function addReferencePage(app: App, options: { readonly version: string }): void {
  const pages = { '/reference': renderIndex(options.version), '/reference/problems': renderProblems() }
  for (const [url, html] of Object.entries(pages)) {
    app.get(url, async (_request, reply) => reply.type('text/html; charset=utf-8').send(html))
  }
  app.get('/reference/style.css', async (_request, reply) => reply.type('text/css; charset=utf-8').send(STYLE))
}

function renderIndex(version: string): string {
  const byTag = Map.groupBy(Object.values(operations) as Operation[], (operation) => operation.tag)
  const sections = [...byTag].map(
    ([tag, list]) => `<section><h2 id="${tag}">${capitalised(tag)}</h2>${list.map(renderOperation).join('')}</section>`,
  )
  return page(
    `API ${version}`,
    `<p>The contract for programs: <a href="/v1/openapi.json">OpenAPI 3.1</a> and <a href="/v1/asyncapi.json">AsyncAPI 3.0</a>.
     What can go wrong: <a href="/reference/problems">the problem codes</a>. Every route and command is printed from what the server runs.</p>
     ${sections.join('')}
     <section><h2 id="socket">Socket <code>/v1/socket</code></h2>${(Object.values(socketCommands) as Command[]).map(renderCommand).join('')}${renderCloseCodes()}</section>
     <section><h2 id="limits">Limits</h2>${renderLimits()}</section>`,
  )
}

function renderOperation(operation: Operation): string {
  const audit =
    typeof operation.audit === 'string'
      ? `recorded as <code>${operation.audit}</code>`
      : `not recorded: ${escape(operation.audit.unaudited)}`
  const who = operation.auth === 'none' ? 'without sign-in' : 'signed in'
  return `<article id="${operation.operationId}"><h3><code>${operation.method} ${operation.path}</code></h3>
    <p>${escape(operation.summary)}.</p><p class="quiet">${operation.operationId} · ${who} · ${audit}</p>${renderCodes(operation.problems)}</article>`
}

function renderCommand(command: Command): string {
  const audit =
    typeof command.audit === 'string'
      ? `recorded as <code>${command.audit}</code>`
      : `not recorded: ${escape(command.audit.unaudited)}`
  return `<article id="${command.op}"><h3><code>${command.op}</code></h3><p>${escape(command.summary)}.</p><p class="quiet">${audit}</p>${renderCodes(command.problems)}</article>`
}

function renderCodes(codes: readonly string[]): string {
  if (codes.length === 0) return ''
  return `<p class="quiet">May answer ${codes.map((code) => `<a href="/reference/problems#${code.replace('/', '-')}"><code>${code}</code></a>`).join(', ')}</p>`
}

function renderCloseCodes(): string {
  const rows = Object.entries(closeCodes).map(
    ([code, spec]) => `<tr><td><code>${code}</code></td><td>${escape(spec.meaning)}</td><td>${spec.then}</td></tr>`,
  )
  return `<h3>Close codes</h3><table><thead><tr><th>Code</th><th>Meaning</th><th>The client does</th></tr></thead><tbody>${rows.join('')}</tbody></table>`
}

function renderLimits(): string {
  const rows = Object.entries(limitSpecs).map(
    ([name, spec]) =>
      `<tr><td><code>${name}</code></td><td>${spec.value} ${spec.unit}</td><td>${escape(spec.meaning)}</td></tr>`,
  )
  return `<p>An operator may have changed some: <a href="/v1/limits">as they are here</a>.</p><table><thead><tr><th>Name</th><th>Default</th><th>Meaning</th></tr></thead><tbody>${rows.join('')}</tbody></table>`
}

function renderProblems(): string {
  const articles = Object.entries(problemCatalogue).map(
    ([code, spec]) =>
      `<article id="${code.replace('/', '-')}"><h3><code>${code}</code></h3><p>${escape(spec.title)}. ${escape(spec.advice)}</p><p class="quiet">${spec.status} · retry ${spec.retry}</p></article>`,
  )
  return page(
    'Problem codes',
    `<p>Problems are <code>application/problem+json</code> (RFC 9457). A code is never renamed and never reused. <a href="/reference">Back to the API</a>.</p>${articles.join('')}`,
  )
}

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Sotto · ${escape(title)}</title><link rel="stylesheet" href="/reference/style.css"></head><body><main><h1>Sotto · ${escape(title)}</h1>${body}</main></body></html>`
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}

function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}

const STYLE = `:root{color-scheme:light dark;--ink:#1b2430;--quiet:#51606f;--paper:#fff;--line:#d9dee4;--accent:#0b5c86}
@media (prefers-color-scheme:dark){:root{--ink:#e6ebf0;--quiet:#a3b0bd;--paper:#12181f;--line:#2c3742;--accent:#7cc4ea}}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif}main{max-width:60rem;margin:0 auto;padding:1.5rem}
h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}h3{margin:1.5rem 0 .25rem;font-size:1rem;overflow-wrap:anywhere}p{margin:.25rem 0}.quiet{color:var(--quiet);font-size:.9rem}
a{color:var(--accent)}table{border-collapse:collapse;width:100%}td,th{text-align:left;border-bottom:1px solid var(--line);padding:.35rem .5rem .35rem 0;vertical-align:top}article:target{outline:2px solid var(--accent);outline-offset:.5rem}`
