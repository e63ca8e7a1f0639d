/** @feature J1 @control OWASP API8, API9; ASVS 3.4.2, 4.1.4, 4.2.1 */
import { operations, problemCatalogue, type Operation, type ProblemCode } from '@sotto/protocol'
import { databaseKinds, startTestServer, type Clinic, type TestServer } from '@sotto/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createHttpApp } from '../../apps/server/src/edges/http/app.ts'
import { addReferencePage } from '../../apps/server/src/edges/http/reference-page.ts'
import { ask, codeOf, speakRaw, type Answer, type Question } from './kit/ask.ts'
import { createValidators } from './kit/documents.ts'

const PAGE = 'https://page.example.org'
const all = Object.values(operations) as readonly Operation[]
const { checkProblem } = createValidators()

/** What is served beside the contract, and why that is no operation. */
const besides: Readonly<Record<string, string>> = {
  'GET /reference': 'the API page: the contract for people',
  'GET /reference/problems': 'the page to which the type of every problem resolves',
  'GET /reference/style.css': 'how those pages look',
  'OPTIONS /v1/*': 'what a browser asks before it calls from another origin: it reads and changes nothing',
}

let server: TestServer
let clinic: Clinic

beforeAll(async () => {
  server = await startTestServer(databaseKinds.at(-1)!, {
    env: { SOTTO_ALLOWED_ORIGINS: PAGE, SOTTO_TRUST_PROXY: 'true' },
  })
  clinic = await server.createClinic()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const get = (path: string, more: Partial<Question> = {}): Promise<Answer> =>
  ask(server.url, { method: 'GET', path, token: clinic.alice.accessToken, ...more })
const post = (body: unknown, headers: Record<string, string> = {}, path = '/v1/teams'): Promise<Answer> =>
  ask(server.url, { method: 'POST', path, token: clinic.ada.accessToken, body, headers })

function expectProblem(answer: Answer, code: ProblemCode): void {
  expect({ code: codeOf(answer), status: answer.status }).toEqual({ code, status: problemCatalogue[code].status })
  expect(checkProblem(answer.body)).toBeUndefined()
  expectSecured(answer.headers)
}

function expectSecured(headers: Answer['headers']): void {
  expect(headers['content-security-policy']).toMatch(/default-src 'none'.*frame-ancestors 'none'/)
  expect(headers['x-content-type-options']).toBe('nosniff')
  expect(headers['referrer-policy']).toBe('no-referrer')
  expect(headers['cache-control']).toBe('no-store')
  expect(headers['x-powered-by'] ?? headers['server']).toBeUndefined()
}

describe('the routes', () => {
  test('are the operations of the contract, and a few besides for stated reasons', async () => {
    const none = {} as never
    const handlers = Object.fromEntries(all.map(({ operationId }) => [operationId, async () => ({})]))
    const app = createHttpApp({ limits: server.composition.limits, handlers, allowedOrigins: [], ids: none } as never)
    addReferencePage(app, { version: '0', limits: server.composition.limits })
    await app.ready()
    const routes = readTree(app.printRoutes())
    await app.close()
    expect(routes.toSorted()).toEqual(
      [...all.map(({ method, path }) => `${method} ${path}`), ...Object.keys(besides)].toSorted(),
    )
  })

  test('are what the running server documents, each with its audit action or the reason why it has none', async () => {
    const document = (await get('/v1/openapi.json')).body as {
      paths: Record<string, Record<string, Record<string, unknown>>>
    }
    const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId, 'x-audit-action': audit }]) => [
        `${method.toUpperCase()} ${path}`,
        operationId,
        audit,
      ]),
    )
    const contract = all.map(({ method, path, operationId, audit }) => {
      const name = `${method} ${path.replaceAll(/:([A-Za-z]+)/g, '{$1}')}`
      return [name, operationId, typeof audit === 'string' ? audit : null]
    })
    expect(new Set(documented.map(String))).toEqual(new Set(contract.map(String)))
    const unaudited = all.flatMap(({ operationId, audit }) =>
      typeof audit === 'string' ? [] : [[operationId, audit.unaudited]],
    )
    expect(new Set(unaudited.map(([operationId]) => operationId))).toEqual(
      new Set(['getAsyncApi', 'getLimits', 'getOpenApi', 'listProblems']),
    )
    for (const [, reason] of unaudited) expect(reason!.length).toBeGreaterThan(20)
  })

  test('answer each method that they do not take with those that they do', async () => {
    const id = server.composition.ids.next<string>()
    const paths = Map.groupBy(all, ({ path }) => path.replaceAll(/:[A-Za-z]+/g, id))
    for (const [path, list] of paths) {
      const taken = list.map(({ method }) => method as string)
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND']) {
        // `refresh` could be the id of a session, as far as the router is concerned.
        if (taken.includes(method) || (method === 'DELETE' && path.endsWith('/refresh'))) continue
        const answer = await ask(server.url, { method, path })
        expect([method, path, answer.status]).toEqual([method, path, 405])
        expect(answer.headers.allow?.split(', ')).toEqual(expect.arrayContaining(taken))
        expect(answer.headers.allow?.split(', ')).not.toContain(method)
        if (method !== 'HEAD') expectProblem(answer, 'platform/method-not-allowed')
        expectSecured(answer.headers)
      }
    }
  })

  test.for([
    '/',
    '/v1',
    '/v1/',
    '/v2/conversations',
    '/v1/Conversations',
    '/v1//conversations',
    '/v1/conversations/../users',
    '/v1/%63onversations/x/y',
    '/v1/socket',
    '/.env',
    '/v1/users/a/b/c/d',
    `/v1/users/${'a'.repeat(300)}`,
  ])('say of %s that there is no such route', async (path) => {
    expectProblem(await get(path), 'platform/not-found')
  })

  test.for(['/v1/users/%', '/v1/users/%E0%A4%A', '/v1/%zz'])(
    'say of %s that it is malformed, and repeat nothing of it',
    async (path) => {
      const answer = await get(path)
      expectProblem(answer, 'platform/malformed')
      expect(answer.text).not.toContain(path.slice(-3))
    },
  )

  test.for([
    '/v1/users/',
    '/v1/users/%00',
    '/v1/users/..%2f..%2fetc%2fpasswd',
    '/v1/users/%F0%9F%92%8A',
    '/v1/users/%25%32%65',
    "/v1/users/'or'1'='1",
  ])('hold what %s decodes to against the schema', async (path) =>
    expectProblem(await get(path), 'platform/invalid-input'),
  )
})

describe('queries', () => {
  test.for([
    '/v1/users?limit=1&limit=2',
    '/v1/users?limit[]=1',
    '/v1/users?limit=0',
    '/v1/users?limit=201',
    '/v1/users?limit=1.5',
    '/v1/users?limit=',
    '/v1/users?limit=abc',
    '/v1/users?__proto__=1',
    '/v1/users?constructor=1',
    '/v1/users?role=nurse',
    '/v1/users?after=nonsense',
    '/v1/limits?x=1',
    '/v1/sync?token=nonsense',
    '/v1/presence',
    '/v1/presence?userIds=,',
    '/v1/audit-events?from=yesterday',
  ])('%s does not fit its schema', async (path) => {
    expectProblem(
      await get(path, { token: path.includes('audit') ? clinic.cora.accessToken : clinic.alice.accessToken }),
      'platform/invalid-input',
    )
  })

  test('are refused where the operation takes none', async () => {
    expectProblem(await get(`/v1/users/${clinic.bob.userId}?expand=all`), 'platform/invalid-input')
  })
})

describe('bodies', () => {
  const team = () => ({ teamId: server.composition.ids.next(), name: 'Ward' })
  const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`

  test.for([
    ['truncated', '{"name":"Ward'],
    ['followed by more', '{} {}'],
    ['with a trailing comma', '{"name":"Ward",}'],
    ['with a name twice', '{"name":"Ward","name":"Ward"}'],
    ['with a name twice by way of an escape', String.raw`{"name":"Ward","n\u0061me":"Ward"}`],
    ['with __proto__', '{"__proto__":{"admin":true}}'],
    ['deeper than the limit', nested(17)],
    ['very much deeper', nested(15_000)],
    ['an array very much deeper', '['.repeat(90_000)],
    ['that are not UTF-8', Buffer.from('7b226e616d65223a22ff227d', 'hex')],
    ['with a byte order mark', '\ufeff{}'],
    ['of another encoding', Buffer.from('{"name":"Ward"}', 'utf16le')],
    ['with a bare NaN', '{"name":NaN}'],
    ['of one control character', '\u0000'],
  ] as const)('%s are malformed', async ([, body]) => {
    expectProblem(await post(body), 'platform/malformed')
  })

  test.for([
    ['an array', '[]'],
    ['a string', '"{}"'],
    ['null', 'null'],
    ['a number that no computer has', '1e999'],
    ['an unknown field', '{"teamId":"01a20255-14c0-7de7-a774-79b21244eb24","name":"Ward","admin":true}'],
    ['a field called constructor', '{"constructor":{"prototype":{"admin":true}},"name":"Ward"}'],
    ['a name of two lines', '{"teamId":"01a20255-14c0-7de7-a774-79b21244eb24","name":"a\\nb"}'],
    ['half a character', String.raw`{"teamId":"01a20255-14c0-7de7-a774-79b21244eb24","name":"\ud83d"}`],
    ['nothing', ''],
  ] as const)('that are or have %s do not fit their schema', async ([, body]) => {
    expectProblem(await post(body), 'platform/invalid-input')
  })

  test.for([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'application/json-patch+json',
    'text/json',
    'nonsense',
    'application/json, text/plain',
  ])('called %s are not taken', async (type) => {
    expectProblem(await post(team(), { 'content-type': type }), 'platform/unsupported-media-type')
  })

  test('are taken as application/json, whatever its parameters', async () => {
    expect((await post(team(), { 'content-type': 'application/json;charset=utf-8' })).status).toBe(201)
    expect((await post(team(), { 'content-type': 'Application/JSON' })).status).toBe(201)
  })

  test('larger than the limit are refused before they are read, with or without their size', async () => {
    const large = Buffer.alloc(server.composition.limits.requestBytesMax + 1, 'a')
    expectProblem(await post(large), 'platform/too-large')
    const announced = await speakRaw(
      server.url,
      `POST /v1/teams HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${clinic.ada.accessToken}\r\ncontent-type: application/json\r\ncontent-length: 999999999\r\n\r\n`,
    )
    expect(announced.text).toMatch(/^HTTP\/1\.1 413 /)
    expect(announced.closed).toBe(true)
  })

  test('of whom nobody knows are not read: who asks is the first question', async () => {
    expectProblem(await ask(server.url, { method: 'POST', path: '/v1/teams', body: '{' }), 'identity/unauthenticated')
  })

  test('are not taken where the operation has none', async () => {
    const path = `/v1/devices/${clinic.bob.ctx.deviceId}`
    const answer = await ask(server.url, { method: 'DELETE', path, token: clinic.ada.accessToken, body: {} })
    expectProblem(answer, 'platform/invalid-input')
  })

  test('that were refused stand in the trail of their sender, with the reason', async () => {
    const { items } = await server.composition.operations.listAuditEvents(clinic.cora.ctx, {
      limit: 200,
      actorUserId: clinic.ada.userId,
      outcome: 'refused',
    })
    const reasons = new Set(items.map((event) => event.code))
    for (const reason of [
      'not-json',
      'repeated-name',
      'a-name-that-is-not-data',
      'too-deep',
      'not-utf-8',
      'platform/too-large',
    ])
      expect(reasons).toContain(reason)
  })
})

describe('tokens', () => {
  test.for([
    ['none', undefined, 'identity/unauthenticated'],
    ['of another scheme', 'Basic YWxpY2U6c2VjcmV0', 'identity/unauthenticated'],
    ['empty', 'Bearer ', 'identity/unauthenticated'],
    ['not one of ours', `Bearer ${'a'.repeat(40)}`, 'identity/unauthenticated'],
    ['two at once', 'Bearer aaaaaaaaaaaaaaaaaaaaaaaa, Bearer bbbbbbbbbbbbbbbbbbbbbbbbb', 'identity/unauthenticated'],
    ['signed by nobody', `Bearer ${jwt({ alg: 'none', typ: 'at+jwt' })}`, 'identity/unauthenticated'],
    ['signed with the wrong algorithm', `Bearer ${jwt({ alg: 'HS256', typ: 'at+jwt' })}`, 'identity/unauthenticated'],
    ['that brings its own key', `Bearer ${jwt({ alg: 'ES256', typ: 'at+jwt', jwk: {} })}`, 'identity/unauthenticated'],
  ] as const)('%s: the answer says how to do better', async ([, authorization, code]) => {
    const answer = await ask(server.url, {
      method: 'GET',
      path: '/v1/users',
      headers: authorization === undefined ? {} : { authorization },
    })
    expectProblem(answer, code)
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer/)
  })

  test('with one bit changed anywhere are no tokens', async () => {
    const token = clinic.alice.accessToken
    for (let at = 0; at < token.length; at += 17) {
      const changed = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`
      // The last character of base64url carries bits that mean nothing.
      if (changed !== token && at < token.length - 1)
        expectProblem(await get('/v1/limits/x', { token: changed }), 'platform/not-found')
      if (changed !== token && at < token.length - 1)
        expectProblem(await get('/v1/devices', { token: changed }), 'identity/unauthenticated')
    }
  })

  test('in the address are no tokens', async () => {
    const path = `/v1/users?access_token=${clinic.alice.accessToken}`
    expectProblem(await ask(server.url, { method: 'GET', path }), 'identity/unauthenticated')
  })

  test('come with a purpose of use that exists, or none', async () => {
    const ask = (purpose: string) =>
      get('/v1/teams', { token: clinic.grace.accessToken, headers: { 'sotto-purpose': purpose } })
    expect((await ask('ETREAT')).status).toBe(200)
    expectProblem(await ask('CURIOSITY'), 'platform/invalid-input')
    const query = { limit: 2, actorUserId: clinic.grace.userId }
    const { items } = await server.composition.operations.listAuditEvents(clinic.cora.ctx, query)
    expect(items[1]).toMatchObject({ outcome: 'success', purpose: 'ETREAT' })
    expect(items[0]).toMatchObject({ outcome: 'refused', code: 'platform/invalid-input', action: 'team.list' })
  })
})

describe('origins', () => {
  const foreign = [
    'https://evil.example',
    'null',
    'file://',
    'https://page.example.org.evil.example',
    'https://page.example.org:444',
    'http://page.example.org',
    '',
    'https://page.example.org/',
  ]

  test.for(foreign)('%j may not ask for anything, with or without cookies', async (from) => {
    for (const cookie of [undefined, `sotto-refresh=${'a'.repeat(66)}`]) {
      const headers = { origin: from, ...(cookie === undefined ? {} : { cookie }) }
      for (const answer of [
        await get('/v1/users', { headers }),
        await post({ refreshTokenIn: 'cookie' }, headers, '/v1/sessions/refresh'),
      ]) {
        expectProblem(answer, 'platform/origin-refused')
        expect(answer.headers['access-control-allow-origin']).toBeUndefined()
      }
    }
    const preflight = await ask(server.url, {
      method: 'OPTIONS',
      path: '/v1/users',
      headers: { origin: from, 'access-control-request-method': 'GET' },
    })
    expect(preflight.headers['access-control-allow-origin']).toBeUndefined()
    expectProblem(preflight, 'platform/origin-refused')
  })

  test('that are allowed are named back, alone, and never with cookies', async () => {
    const headers = { origin: PAGE }
    for (const answer of [
      await get('/v1/users', { headers }),
      await get('/v1/users', { headers, token: 'x' }),
      await ask(server.url, {
        method: 'OPTIONS',
        path: '/v1/users',
        headers: { ...headers, 'access-control-request-method': 'PATCH' },
      }),
    ]) {
      expect(answer.headers['access-control-allow-origin']).toBe(PAGE)
      expect(answer.headers.vary).toMatch(/origin/i)
      expect(answer.headers['access-control-allow-credentials']).toBeUndefined()
      expectSecured(answer.headers)
    }
  })

  test("of the server's own pages may ask, and get no leave for others", async () => {
    const answer = await get('/v1/users', { headers: { origin: server.url } })
    expect(answer.status).toBe(200)
    expect(answer.headers['access-control-allow-origin']).toBeUndefined()
  })

  test('are a word of the browser only: what a proxy forwards about the host does not count', async () => {
    expectProblem(
      await get('/v1/users', { headers: { origin: 'https://evil.example', 'x-forwarded-host': 'evil.example' } }),
      'platform/origin-refused',
    )
  })
})

describe('the pages besides', () => {
  test.for(['/reference', '/reference/problems', '/reference/style.css'])(
    '%s is secured and says nothing of people',
    async (path) => {
      const answer = await ask(server.url, { method: 'GET', path })
      expect(answer.status).toBe(200)
      expectSecured(answer.headers)
      expect(answer.text).not.toMatch(/<script|onclick|style="/)
    },
  )

  test('have a paragraph for every code of the catalogue', async () => {
    const { text } = await ask(server.url, { method: 'GET', path: '/reference/problems' })
    for (const code of Object.keys(problemCatalogue)) expect(text).toContain(`id="${code.replace('/', '-')}"`)
  })
})

describe('behind a proxy', () => {
  test("the address is the one that the proxy saw, not the client's word", async () => {
    await get('/v1/devices', { headers: { 'x-forwarded-for': '198.51.100.7, 203.0.113.9' } })
    const { items } = await server.composition.operations.listAuditEvents(clinic.cora.ctx, {
      limit: 10,
      action: 'device.list',
    })
    expect(items[0]!.actor.address).toBe('203.0.113.9')
  })
})

/** Fastify prints its router as a tree, four characters to a level. */
function readTree(tree: string): readonly string[] {
  const routes: string[] = []
  const parents: string[] = []
  for (const line of tree.split('\n')) {
    const [, indent, piece, methods] = /^(.*?)[├└]── (\S+)(?: \((.+)\))?$/.exec(line) ?? []
    if (indent === undefined) continue
    const depth = indent.length / 4
    parents[depth] = piece!
    const path = parents.slice(0, depth + 1).join('')
    for (const method of methods?.split(', ') ?? []) routes.push(`${method} ${path}`)
  }
  return routes
}

function jwt(header: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part(header)}.${part({ sub: 'alice', exp: 9_999_999_999 })}.${'a'.repeat(86)}`
}
