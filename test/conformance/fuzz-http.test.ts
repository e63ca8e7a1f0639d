/** @feature J1 @control OWASP API3, API8, API10; ASVS 1.5.3, 15.3.6 */
import {
  operations,
  problemCatalogue,
  type Operation,
  type OperationId,
  type ProblemCode,
  type ProblemDocument,
} from '@sotto/protocol'
import { databaseKinds } from '@sotto/testkit'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { breaking, fitting, garbling, sometimes, strangers, type Json, type Pools } from './kit/arbitraries.ts'
import { ask, codeOf, questionOf, type Answer, type Question } from './kit/ask.ts'
import { digestTables } from './kit/digest.ts'
import { allowedCodes, createValidators } from './kit/documents.ts'
import { callerNames, openFuzzScene, type CallerName, type FuzzScene } from './kit/fuzz-scene.ts'
import { draw, eachOf, expectBounded, measureHeap, readSeed, share, watchProcess } from './kit/fuzzing.ts'

/** Most on PostgreSQL: the embedded engine runs the same SQL, one transaction at a time. */
const REQUESTS = { postgres: 4_500, pglite: 500 } as const
const BATCH = 500
const insiders: readonly CallerName[] = ['ada', 'alice', 'alice', 'bob', 'cora', 'robot']
const AT_ONCE = 16
const seed = readSeed()
const all = Object.values(operations) as readonly Operation[]
const { checkReply, checkProblem } = createValidators()

interface Shot {
  readonly operation: Operation
  readonly caller: CallerName
  readonly question: Question
}

describe.each(databaseKinds)('on %s', (kind) => {
  let scene: FuzzScene

  beforeAll(async () => {
    scene = await openFuzzScene(kind)
  })
  afterAll(() => scene?.[Symbol.asyncDispose]())

  test('whatever is asked is answered as documented, and the server stays as it is', async ({ task }) => {
    using watch = watchProcess()
    const total = share(REQUESTS[kind])
    const codes: Record<string, number> = {}
    let before = 0
    for (let batch = 0; batch * BATCH < total; batch++) {
      await scene.refresh()
      await eachOf(draw(shots(scene.pools), seed + batch, Math.min(BATCH, total)), AT_ONCE, async (shot) => {
        const answer = await fire(shot)
        const code = codeOf(answer) ?? String(answer.status)
        codes[code] = (codes[code] ?? 0) + 1
        const wrong = judge(shot.operation, answer)
        if (wrong !== undefined)
          throw new Error(
            `seed ${seed} batch ${batch}: ${wrong}\n${describeShot(shot)}\n${answer.text.slice(0, 2_000)}`,
          )
      })
      if (batch === 0) before = await measureHeap()
      expect(watch.seen, `seed ${seed} batch ${batch}`).toEqual([])
    }
    expectBounded(before, await measureHeap())
    expectVaried(codes)
    await scene.refresh()
    expect(
      (
        await fire({
          operation: operations.listDevices,
          caller: 'ada',
          question: { method: 'GET', path: '/v1/devices' },
        })
      ).status,
    ).toBe(200)
    task.meta.seed = seed
    task.meta.counts = { [`HTTP requests on ${kind}`]: total }
  })

  test('what is refused changes nothing', async ({ task }) => {
    const count = share(kind === 'pglite' ? 100 : 500)
    await scene.refresh()
    await scene.server.composition.deliveries.sweep()
    const before = await digestTables(scene.owner)
    await eachOf(draw(refusedShots(scene.pools), seed, count), AT_ONCE, async (shot) => {
      const answer = await fire(shot)
      if (codeOf(answer) === undefined)
        throw new Error(`seed ${seed}: not refused\n${describeShot(shot)}\n${answer.status} ${answer.text}`)
      expect(answer.status).toBeLessThan(500)
    })
    expect(await digestTables(scene.owner)).toEqual(before)
    task.meta.counts = { [`refused requests on ${kind}`]: count }
  })

  function fire({ question, caller }: Shot): Promise<Answer> {
    const me = scene.callers.get(caller)?.userId ?? scene.clinic.carmen.userId
    const path = question.path.replaceAll(/@me|%40me/g, me)
    const body =
      typeof question.body === 'object' && !Buffer.isBuffer(question.body)
        ? (JSON.parse(JSON.stringify(question.body).replaceAll('@me', me)) as unknown)
        : question.body
    return ask(scene.server.url, { ...question, path, body, token: scene.tokenOf(caller) })
  }
})

/** Requests that fit, and requests that were broken in one of many ways. */
function shots(pools: Pools): fc.Arbitrary<Shot> {
  const operation = fc.constantFrom(...all)
  return operation.chain((operation) =>
    fc
      .record({
        caller: fc.constantFrom<CallerName>(...insiders, ...insiders, ...insiders, ...callerNames),
        parts: partsOf(operation, pools),
        broken: sometimes(35, breaking),
        brokenAgain: sometimes(10, breaking),
        garbled: sometimes(8, garbling),
        headers: sometimes(8, fc.constantFrom(...oddHeaders)),
      })
      .map(({ caller, parts, broken, brokenAgain, garbled, headers }) => {
        const whole = [broken, brokenAgain].reduce<unknown>(
          (value, breakIt) => (breakIt ? breakIt(value) : value),
          parts,
        )
        return {
          operation,
          caller,
          question: { ...put(operation, whole as Partial<Parts>, garbled), headers: headers ?? {} },
        }
      }),
  )
}

interface Parts {
  readonly params: Json
  readonly query: Json
  readonly body: unknown
}

function partsOf(operation: Operation, pools: Pools): fc.Arbitrary<unknown> {
  const part = (schema: Operation['body']) => (schema === undefined ? fc.constant({}) : fitting(schema, pools))
  const { params, query, body } = operation
  return fc.record({ params: part(params), query: part(query), ...(body === undefined ? {} : { body: part(body) }) })
}

/** However broken the parts are, something goes over the wire. */
function put(
  operation: Operation,
  { params, query, body }: Partial<Parts>,
  garbled: ((text: string) => Buffer) | null,
): Question {
  const path = operation.path.replaceAll(/:([A-Za-z]+)/g, (_, name: string) =>
    encodeURIComponent(textOf((params ?? {})[name])),
  )
  const search = Object.entries(query ?? {}).map(
    ([name, value]) => `${encodeURIComponent(wellFormed(name))}=${encodeURIComponent(textOf(value))}`,
  )
  const text = body === undefined ? undefined : JSON.stringify(body)
  return {
    method: operation.method,
    path: search.length === 0 ? path : `${path}?${search.join('&')}`,
    body: garbled !== null ? garbled(text ?? '') : text,
  }
}

function textOf(value: unknown): string {
  return wellFormed(typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).slice(0, 3_000)
}

const wellFormed = (text: string): string => text.replaceAll(/\p{Cs}/gu, '\ufffd')

const oddHeaders: readonly Readonly<Record<string, string>>[] = [
  { 'content-type': 'text/plain' },
  { 'content-type': 'application/json; charset=utf-16' },
  { 'content-encoding': 'gzip' },
  { origin: 'https://evil.example' },
  { 'sotto-purpose': 'NONSENSE' },
  { 'sotto-purpose': 'ETREAT' },
  { cookie: `sotto-refresh=${'x'.repeat(66)}; sotto-device=${'-'.repeat(36)}.${'x'.repeat(66)}` },
  { cookie: 'sotto-refresh=%E0%A4%A; =; ;;; a' },
  { 'x-forwarded-for': '\u00ff, 1.2.3.4' },
  { 'x-http-method-override': 'DELETE' },
  { expect: '100-continue' },
  { range: 'bytes=0-1' },
  { 'if-none-match': '*' },
]

/** Requests of which none may be done: each has one mistake for which there is no excuse. */
function refusedShots(pools: Pools): fc.Arbitrary<Shot> {
  const signedIn = all.filter((operation) => operation.auth === 'session')
  return fc.constantFrom(...signedIn).chain((operation) =>
    fc
      .record({
        parts: partsOf(operation, pools),
        how: fc.nat({ max: 5 }),
        stranger: fc.constantFrom(...strangers),
        cut: fc.nat(),
      })
      .map(({ parts, how, stranger, cut }) => refuse(operation, parts as Parts, how, stranger, cut)),
  )
}

function refuse(operation: Operation, parts: Parts, how: number, stranger: unknown, cut: number): Shot {
  const question = put(operation, parts, null)
  const name = `unknown${cut % 10}`
  const extended =
    operation.body === undefined
      ? { ...parts, query: { ...parts.query, [name]: stranger } }
      : { ...parts, body: { ...(parts.body as object), [name]: stranger } }
  const text = typeof question.body === 'string' ? question.body : '{}'
  const shot = (caller: CallerName, more: Partial<Question>): Shot => ({
    operation,
    caller,
    question: { ...question, ...more },
  })
  if (how === 0) return shot('nobody', {})
  if (how === 1) return shot('garbled', {})
  if (how === 2) return shot('expired', {})
  if (how === 3) return shot('alice', { headers: { origin: 'https://evil.example' } })
  if (how === 4 && operation.method !== 'GET')
    return shot('alice', { body: Buffer.from(text).subarray(0, Math.max(1, (cut % text.length) - 1)) })
  return shot('ada', put(operation, extended, null))
}

/** @returns what is wrong with the answer */
function judge(operation: Operation, answer: Answer): string | undefined {
  const { operationId } = operation
  if (codeOf(answer) === undefined) {
    if (answer.status !== operation.reply.status) return `${operationId} answers ${answer.status}`
    const wrong = checkReply(operationId, answer.status, answer.body)
    return wrong && `${operationId}: ${wrong}`
  }
  const { code, status } = answer.body as ProblemDocument
  const wrong = checkProblem(answer.body)
  if (wrong !== undefined) return `${operationId} answers a broken problem: ${wrong}`
  if (status !== answer.status || problemCatalogue[code as ProblemCode].status !== status)
    return `${code} comes as ${answer.status}`
  if (status >= 500) return `${operationId} fails: ${code}`
  // A parameter that is empty or has no end makes another path of it, which may exist for another method only.
  if (code === 'platform/not-found' || code === 'platform/method-not-allowed')
    return operation.params === undefined ? `${operationId}: ${code}` : undefined
  return allowedCodes(operationId).has(code) ? undefined : `${code} is no answer of ${operationId} by the contract`
}

/** A fuzzer that only ever meets the first check tests nothing. */
function expectVaried(codes: Readonly<Record<string, number>>): void {
  const met = Object.keys(codes)
  for (const code of [
    '200',
    '201',
    'platform/invalid-input',
    'platform/malformed',
    'access/denied',
    'access/not-found',
    'identity/unauthenticated',
  ])
    expect(met).toContain(code)
  expect((codes['200'] ?? 0) + (codes['201'] ?? 0) + (codes['204'] ?? 0)).toBeGreaterThan(20)
}

function describeShot({ caller, question }: Shot): string {
  const { body, ...rest } = question
  return `${caller}: ${JSON.stringify(rest)} ${Buffer.isBuffer(body) ? body.toString('hex') : JSON.stringify(body)?.slice(0, 3_000)}`
}

test('the questions of the fuzzer reach the operations that they are meant for', () => {
  const { method, path } = questionOf('listUsers' satisfies OperationId, { limit: 2 })
  expect([method, path]).toEqual(['GET', '/v1/users?limit=2'])
})
