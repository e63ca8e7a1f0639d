import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { AuditEvent } from '@sotto/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { connectTestSocket, openTestSocket } from '../../../../../packages/testkit/src/test-socket.ts'
import { openWard, type Clinic, type Ward } from '../../domains/conversations/ward.testing.ts'
import { SYSTEM_TENANT_ID } from '../../platform/context/context.ts'
import { createLog } from '../../platform/log/log.ts'
import { UPGRADES_MAX } from './socket-server.ts'

const kind = databaseKinds[0]!

const handshake = (ticket: string, path = '/v1/socket') =>
  [
    `GET ${path} HTTP/1.1`,
    'host: x',
    'connection: upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    'sec-websocket-key: c2l4dGVlbiBieXRlcyEhIQ==',
    `sec-websocket-protocol: sotto.v1, sotto.ticket.${ticket}`,
    '\r\n',
  ].join('\r\n')

/** A peer that never ends its side of the connection, whatever the server does. */
async function holdOpen(url: string, bytes: string): Promise<{ readonly socket: Socket; text(): string }> {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true })
  let text = ''
  socket.on('data', (data) => (text += data.toString('latin1')))
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(bytes)
  return { socket, text: () => text }
}

/** Resolves when the server has let go of the connection: what is written to it is answered by a reset. */
async function letGo(socket: Socket): Promise<void> {
  const timer = setInterval(() => socket.write('x'), 50)
  await new Promise<void>((resolve) => socket.on('close', () => resolve()))
  clearInterval(timer)
}

describe('a socket server', () => {
  let ward: Ward
  let clinic: Clinic

  beforeAll(async () => {
    ward = await openWard(kind)
    clinic = await ward.createClinic()
  })
  afterAll(() => ward[Symbol.asyncDispose]())

  const ticketOf = async () => (await ward.operations.createSocketTicket(clinic.bob.ctx, {})).ticket

  test.each([
    ['a refused upgrade', handshake('none'), /^HTTP\/1\.1 401 [^]*identity\/ticket-invalid/],
    ['what is not HTTP', 'HELLO\r\n\r\n', /^HTTP\/1\.1 400 [^]*platform\/malformed/],
  ])('%s is answered, and its connection is not kept for a peer that keeps it', async (_what, bytes, answer) => {
    const { socket, text } = await holdOpen(ward.url, bytes)
    await expect.poll(text).toMatch(answer)
    const from = performance.now()
    await letGo(socket)
    expect(performance.now() - from).toBeLessThan(3_000)
  })

  test('a polite peer of a refused upgrade is let go at once', async () => {
    const { socket } = await holdOpen(ward.url, handshake('none'))
    const from = performance.now()
    await once(socket, 'end')
    socket.end()
    await once(socket, 'close')
    expect(performance.now() - from).toBeLessThan(900)
  })

  test.each(['h2c', 'TLS/1.0', 'websocket'])(
    'asked to upgrade to %s, other places answer as ever',
    async (protocol) => {
      const headers = `host: x\r\nconnection: upgrade, close\r\nupgrade: ${protocol}\r\n\r\n`
      const { text } = await holdOpen(ward.url, `GET /v1/limits HTTP/1.1\r\n${headers}`)
      await expect.poll(text).toMatch(/^HTTP\/1\.1 200 [^]*"messageBytesMax"/)
    },
  )

  /** A client's text frame whose mask is zero. */
  const frame = (first: number, payload: Buffer) =>
    Buffer.concat([Buffer.from([first, 0x80 | payload.length, 0, 0, 0, 0]), payload])
  const largeFrame = Buffer.concat([
    Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 1, 0x86, 0xa0, 0, 0, 0, 0]),
    Buffer.alloc(64),
  ])

  test.each([
    ['a frame that is too large', 1009, 'frame-too-large', largeFrame],
    ['text that is not UTF-8', 1007, 'frame-not-utf8', frame(0x81, Buffer.from([0xc3, 0x28]))],
    ['a reserved bit', 1002, 'frame-against-protocol', frame(0xf1, Buffer.from('{}'))],
    ['an unknown opcode', 1002, 'frame-against-protocol', frame(0x83, Buffer.from('{}'))],
  ])('%s closes with %i: the peer is told, and the trail says why', async (_what, code, reason, bytes) => {
    const own = await ward.createClinic()
    const socket = await openTestSocket(ward.url, own.bob.accessToken)
    const inner = Reflect.get(socket.webSocket, '_socket') as Socket
    inner.write(bytes)
    expect(await socket.closed).toBe(code)
    const acts = async () => {
      const events = await ward.trail(own, { actorUserId: own.bob.userId })
      return events.map((event: AuditEvent) => [event.action, event.outcome, event.code ?? event.details['code']])
    }
    await expect.poll(acts).toEqual(
      expect.arrayContaining([
        ['request.refuse', 'refused', reason],
        ['socket.close', 'success', code],
      ]),
    )
  })

  test('who is closed is gone at once, however long the peer takes', async () => {
    const { composition } = ward
    const { ctx } = clinic.bob
    const { socket, text } = await holdOpen(ward.url, handshake(await ticketOf()))
    await expect.poll(text).toContain('"op":"hello"')
    expect(composition.board.stateOf(ctx.tenantId, ctx.userId)).toBe('online')
    for (const connection of composition.registry.ofUser(ctx.tenantId, ctx.userId)) connection.close(4409)
    expect(composition.registry.ofUser(ctx.tenantId, ctx.userId).size).toBe(0)
    expect(composition.board.stateOf(ctx.tenantId, ctx.userId)).toBe('offline')
    await letGo(socket)
  })

  test('who breaks off the handshake leaves an opening and its end', async () => {
    const own = await ward.createClinic()
    const { ticket } = await ward.operations.createSocketTicket(own.bob.ctx, {})
    const noKey = handshake(ticket).replace(/sec-websocket-key.*\r\n/, '')
    const { text } = await holdOpen(ward.url, noKey)
    await expect.poll(text).toMatch(/^HTTP\/1\.1 400 /)
    const acts = async () =>
      (await ward.trail(own, { actorUserId: own.bob.userId })).map(({ action, details }) => [action, details['code']])
    await expect.poll(acts).toEqual(
      expect.arrayContaining([
        ['socket.open', undefined],
        ['socket.close', 1006],
      ]),
    )
  })
})

test('connections that are held do not hold up a server that stops', { timeout: 60_000 }, async () => {
  const ward = await openWard(kind)
  const { bob } = await ward.createClinic()
  const { ticket } = await ward.operations.createSocketTicket(bob.ctx, {})
  const held = [
    await holdOpen(ward.url, handshake(ticket)),
    await holdOpen(ward.url, handshake('none')),
    await holdOpen(ward.url, 'HELLO\r\n\r\n'),
  ]
  for (const { text } of held) await expect.poll(text).toMatch(/^HTTP/)
  const from = performance.now()
  await ward[Symbol.asyncDispose]()
  expect(performance.now() - from).toBeLessThan(10_000)
  for (const { socket } of held) socket.destroy()
})

describe('the rate of those who come with a ticket', () => {
  const BURST = 20

  test('false tickets cost a network its rate before they cost a transaction; true ones are given theirs back', async () => {
    await using ward = await openWard(kind, { limits: { requestsPerSecond: 1, requestsBurst: BURST } })
    const { bob } = await ward.createClinic()
    for (let count = 0; count < 2 * BURST; count++) {
      const { ticket } = await ward.operations.createSocketTicket(bob.ctx, {})
      const socket = await connectTestSocket(ward.url, ticket)
      socket.webSocket.terminate()
    }
    const answers: string[] = []
    for (let count = 0; count < 2 * BURST; count++)
      answers.push(await connectTestSocket(ward.url, 'x'.repeat(60)).then(String, String))
    const counted = (code: number) => answers.filter((answer) => answer.includes(String(code))).length
    expect(counted(401)).toBeGreaterThanOrEqual(BURST)
    expect(counted(401)).toBeLessThan(BURST + 10)
    expect(counted(401) + counted(429)).toBe(2 * BURST)
    const { text } = await holdOpen(ward.url, handshake('none'))
    await expect.poll(text).toMatch(/^HTTP\/1\.1 429 [^]*retry-after: 1\r\n[^]*platform\/rate-limited/)
  })

  test('who comes while too many wait is turned away, and one line says how many', { timeout: 60_000 }, async () => {
    const lines: string[] = []
    const log = createLog({ level: 'warn', write: (line) => lines.push(line) })
    await using ward = await openWard('pglite', { log })
    const { ticket } = await ward.operations.createSocketTicket((await ward.createClinic()).bob.ctx, {})
    const held = await Promise.all(Array.from({ length: UPGRADES_MAX + 5 }, () => holdOpen(ward.url, '')))
    const release = await holdDatabase(ward)
    for (const { socket } of held) socket.write(handshake(ticket))
    const dropped = () => lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'socket.dropped')
    await expect.poll(() => dropped().reduce((sum, { count }) => sum + count, 0), { timeout: 20_000 }).toBe(5)
    await release()
    for (const { socket } of held) socket.destroy()
  })

  /** Keeps everybody from the one connection of the embedded database. */
  async function holdDatabase({ composition: { db } }: Ward): Promise<() => Promise<void>> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const isHeld = Promise.withResolvers<void>()
    const holding = db.withTx({ role: 'app', tenantId: SYSTEM_TENANT_ID }, async () => {
      isHeld.resolve()
      await promise
    })
    await isHeld.promise
    return async () => {
      resolve()
      await holding
    }
  }
})
