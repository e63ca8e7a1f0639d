/** @feature J1 @control ASVS 4.2.1; RFC 9112 §11.2 */
import { connect } from 'node:net'
import { databaseKinds, openTestSocket, startTestServer, type Clinic, type TestServer } from '@sotto/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SYSTEM_TENANT_ID } from '../../apps/server/src/platform/context/context.ts'
import { ask, speakRaw, type Answer } from './kit/ask.ts'
import { origin } from './kit/clinic.ts'

let server: TestServer
let clinic: Clinic

beforeAll(async () => {
  server = await startTestServer(databaseKinds.at(-1)!)
  clinic = await server.createClinic()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const get = (path: string): Promise<Answer> => ask(server.url, { method: 'GET', path, token: clinic.alice.accessToken })

/** Refusals of the deployment's own trail: those of whom nobody knows. */
async function reasonsRecorded(): Promise<readonly (string | null)[]> {
  const query = { tenantId: SYSTEM_TENANT_ID, action: undefined, outcome: 'refused' as const, limit: 10_000 }
  return (await server.composition.listAuditEventsAsOperator(origin, query)).map((event) => event.code)
}

describe('what is not HTTP', () => {
  const body = '{"login":"x"}'
  const post = (headers: string) =>
    `POST /v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${headers}\r\n\r\n${body}`

  test.for([
    ['a line of nonsense', 'HELLO\r\n\r\n'],
    ['a method that nobody knows', 'BREW /pot HTTP/1.1\r\nhost: x\r\n\r\n'],
    ['a path with a control character', 'GET /\u0001 HTTP/1.1\r\nhost: x\r\n\r\n'],
    ['another version', 'GET / HTTP/9.9\r\nhost: x\r\n\r\n'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a TLS greeting', Buffer.from('16030100c8010000c40303', 'hex')],
    ['a length and chunks at once', post(`content-length: ${body.length}\r\ntransfer-encoding: chunked`)],
    ['two lengths', post(`content-length: ${body.length}\r\ncontent-length: 0`)],
    ['a length of two words', post('content-length: 13, 13')],
    ['a negative length', post('content-length: -1')],
    ['a length with a sign', post('content-length: +13')],
    ['a coding that is not the last', post('transfer-encoding: chunked, identity')],
    ['a coding with a tab', post('transfer-encoding:\tchunked\r\ncontent-length: 13')],
    ['chunks that are none', post('transfer-encoding: chunked')],
    ['a space before the colon', 'GET /v1/limits HTTP/1.1\r\nhost: x\r\ncontent-length : 0\r\n\r\n'],
    ['a folded header', 'GET /v1/limits HTTP/1.1\r\nhost: x\r\nx: a\r\n b\r\n\r\n'],
    ['a bare carriage return', 'GET /v1/limits HTTP/1.1\r\nhost: x\r\nx: a\rb: c\r\n\r\n'],
    ['a NUL in a header', 'GET /v1/limits HTTP/1.1\r\nhost: x\r\nx: a\u0000b\r\n\r\n'],
    ['no host', 'GET /v1/limits HTTP/1.1\r\n\r\n'],
    ['two hosts', 'GET /v1/limits HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n'],
  ] as const)('%s: is malformed, said once, and the connection does not go on', async ([, bytes]) => {
    const smuggled = `GET /v1/problems HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`
    const raw =
      typeof bytes === 'string' && !bytes.startsWith('GET /v1/limits HTTP/1.1\r\n\r\n') ? bytes + smuggled : bytes
    const { text } = await speakRaw(server.url, raw, 4_000)
    const answers = text.split(/(?=HTTP\/1\.1 )/)
    expect(answers[0]).toMatch(/^HTTP\/1\.1 400 /)
    expect(answers[0]).toContain('"code":"platform/malformed"')
    expect(answers[0]!.toLowerCase()).toContain("content-security-policy: default-src 'none'")
    expect(text).not.toContain('"items"')
  })

  test('headers without end are too large', async () => {
    const { text, closed } = await speakRaw(
      server.url,
      `GET /v1/limits HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`,
    )
    expect(text).toMatch(/^HTTP\/1\.1 413 /)
    expect(text).toContain('"code":"platform/too-large"')
    expect(closed).toBe(true)
  })

  test('a tunnel is not opened', async () => {
    const { text, closed } = await speakRaw(
      server.url,
      'CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n',
    )
    expect(text).not.toMatch(/^HTTP\/1\.1 2/)
    expect(closed).toBe(true)
  })

  test('an expectation that is not ours to meet is passed over', async () => {
    expect(
      (await ask(server.url, { method: 'GET', path: '/v1/limits', headers: { expect: 'a miracle' } })).status,
    ).toBe(200)
  })

  test('is recorded, with the reason', async () => {
    const reasons = await reasonsRecorded()
    for (const reason of ['not-http', 'headers-too-large', 'host']) expect(reasons).toContain(reason)
  })

  test('leaves the server as it was', async () => {
    expect((await get('/v1/devices')).status).toBe(200)
    const socket = await openTestSocket(server.url, clinic.alice.accessToken)
    await socket.command('ping', {})
    socket.close()
  })
})

describe('who is slow', () => {
  test(
    'with the head of a request is cut off, many at once, while others are served',
    { timeout: 40_000 },
    async () => {
      const slow = Array.from({ length: 50 }, () =>
        speakRaw(server.url, 'GET /v1/limits HTTP/1.1\r\nhost: x\r\nx: ', 25_000),
      )
      expect((await get('/v1/devices')).status).toBe(200)
      const ends = await Promise.all(slow)
      expect(ends.every(({ closed }) => closed)).toBe(true)
      expect(ends.filter(({ text }) => text.startsWith('HTTP/1.1 400 ')).length).toBe(50)
      expect(await reasonsRecorded()).toContain('request-too-slow')
    },
  )

  test('does not hold up a server that stops, and is told that it stops', { timeout: 30_000 }, async () => {
    const stopping = await startTestServer(databaseKinds.at(-1)!)
    const { alice: person } = await stopping.createClinic()
    const held = speakRaw(stopping.url, 'POST /v1/teams HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n', 25_000)
    const kept = askTwice(stopping.url, person.accessToken)
    await kept.first
    const startedAt = performance.now()
    const stopped = stopping[Symbol.asyncDispose]()
    const second = await kept.second()
    expect(second === 'refused' || second.includes('"code":"platform/draining"')).toBe(true)
    await stopped
    expect(performance.now() - startedAt).toBeLessThan(15_000)
    expect((await held).closed).toBe(true)
  })
})

/** Two requests on one connection, the second when it is asked for. */
function askTwice(url: string, token: string) {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  const request = `GET /v1/devices HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`
  const answer = () =>
    new Promise<string>((resolve) => {
      socket.once('data', (chunk) => resolve(chunk.toString('latin1')))
      socket.once('close', () => resolve('refused'))
      socket.write(request, (error) => error && resolve('refused'))
    })
  socket.on('error', () => {})
  return { first: answer(), second: answer }
}
