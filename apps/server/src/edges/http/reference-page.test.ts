import { limitDefaults, operations, renderOpenApi, renderSchema, socketCommands, type Operation } from '@sotto/protocol'
import { describe, expect, test } from 'vitest'
import { exampleOf } from './reference-example.ts'
import { renderCurl, type OpenApi } from './reference-operation.ts'
import { renderIndex } from './reference-page.ts'
import type { JsonSchema } from './reference-schema.ts'

const document = renderOpenApi({ version: '1' }) as unknown as OpenApi
const html = renderIndex({ version: '1', limits: { ...limitDefaults, requestsPerSecond: 7 } })
const all = Object.values(operations) as readonly Operation[]

/** What stands between `<article id="…">` and its end. */
function articleOf(id: string): string {
  return new RegExp(`<article id="${id}">.*?</article>`, 's').exec(html)?.[0] ?? ''
}

describe('the API page', () => {
  test('has every operation with its parameters, the fields of its body, and its problems', () => {
    for (const { operationId, params, query, body, problems } of all) {
      const article = articleOf(operationId)
      const bodySchema = body === undefined ? {} : (renderSchema(body, 'input', {}) as JsonSchema)
      const names = [params, query].flatMap((schema) => Object.keys(schema?.shape ?? {}))
      for (const name of [...names, ...Object.keys(bodySchema.properties ?? {})])
        expect(article, `${operationId} ${name}`).toContain(`<th scope="row"><code>${name}</code></th>`)
      for (const problem of [...problems, 'platform/unavailable']) expect(article).toContain(`<code>${problem}</code>`)
    }
    for (const op of Object.keys(socketCommands)) expect(articleOf(op)).toContain('<h4>Command</h4>')
  })

  test('says types and constraints in words', () => {
    const user = articleOf('createUser')
    expect(user).toContain('<td>UUID</td>')
    expect(user).toContain('<td>one line of printable text</td><td>1 to 120 characters</td>')
    expect(user).toContain('<a href="#schema-Role">Role</a>')
    expect(articleOf('listEntries')).toMatch(/may be left out; 1 to 200; default <code>50</)
    expect(articleOf('schema-Entry')).toContain('<code>sender.deviceId</code>')
    expect(articleOf('schema-EntryRange')).toContain('list of <a href="#schema-Entry">Entry</a>')
    expect(articleOf('schema-Payload')).toContain('Fields of Payload where type is &quot;text&quot;')
    expect(articleOf('schema-Session')).toContain('time, RFC 3339, UTC, with milliseconds or null')
  })

  test('shows the limits of this server, and what the default was', () => {
    expect(html).toContain('7 per second (default 50)')
    expect(html).toContain('<td>65536 bytes</td>')
  })

  test('leads nowhere but to what is on it or on this server, and needs no script', () => {
    const ids = [...html.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]!)
    expect(new Set(ids).size).toBe(ids.length)
    const links = [...html.matchAll(/ href="([^"]+)"/g)].map((match) => match[1]!)
    for (const link of new Set(links))
      expect(
        link.startsWith('#') ? ids.includes(link.slice(1)) : /^(\/(reference|v1)\b|data:,$)/.test(link),
        link,
      ).toBe(true)
    expect(html).not.toMatch(/<script| style=| on[a-z]+=/)
  })
})

describe('the examples', () => {
  test('are bodies that the operation takes', () => {
    for (const { operationId, body } of all) {
      if (body === undefined) continue
      const schemas = {}
      const example = exampleOf(renderSchema(body, 'input', schemas) as JsonSchema, schemas)
      expect(body.safeParse(example).error, operationId).toBeUndefined()
    }
    for (const { op, body } of Object.values(socketCommands)) {
      const schemas = {}
      const example = exampleOf(renderSchema(body, 'input', schemas) as JsonSchema, schemas)
      expect(body.safeParse(example).error, op).toBeUndefined()
    }
  })

  test('are whole calls', () => {
    expect(renderCurl(operations.createSession, document)).toBe(
      [
        'curl -X POST "$SOTTO/v1/sessions"',
        "-H 'content-type: application/json'",
        `-d '{"login":"alice.nurse","password":"copper kettle harbor 42","device":{"name":"Ward tablet"}}'`,
      ].join(' \\\n  '),
    )
    expect(renderCurl(operations.listEntries, document)).toBe(
      [
        'curl "$SOTTO/v1/conversations/b4c1d2e3-0f1a-4b2c-8d3e-4f5a6b7c8d9e/entries"',
        '-H "authorization: Bearer $TOKEN"',
      ].join(' \\\n  '),
    )
    for (const operation of all) expect(renderCurl(operation, document)).not.toMatch(/undefined|:[a-z]+Id/)
  })
})
