/** @feature A3 D1 J1 */
import { connect } from 'node:net'
import {
  operations,
  type ConversationId,
  type Entry,
  type EntryId,
  type SignedIn,
  type TeamId,
  type UserId,
} from '@sotto/protocol'
import {
  CommandRefused,
  connectTestSocket,
  databaseKinds,
  openTestSocket,
  TEST_PASSWORD,
  type Clinic,
  type TestServer,
  type TestSocket,
} from '@sotto/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  ask,
  expectRefusedAsUnavailable,
  expectUnavailable,
  startBreakableServer,
  untilRecovered,
  type BreakableServer,
} from './outage.ts'

type Requests = Readonly<Record<string, readonly [path: string, body?: unknown]>>

describe.each(databaseKinds)('while the database on %s is gone', (kind) => {
  let broken: BreakableServer
  let server: TestServer
  let clinic: Clinic
  let conversationId: ConversationId
  /** Of which Bob's socket has received something. */
  let delivered: ConversationId
  let requests: Requests
  let sockets: Readonly<Record<'alice' | 'bob' | 'grace', TestSocket>>
  let tickets: readonly string[]
  const text = (words: string) => ({ v: 1 as const, type: 'text' as const, text: words })

  beforeAll(async () => {
    broken = await startBreakableServer(kind)
    server = broken.server
    clinic = await server.createClinic()
    conversationId = await createConversation()
    requests = await prepareRequests()
    const open = (name: 'alice' | 'bob' | 'grace') => openTestSocket(server.url, clinic[name].accessToken)
    sockets = { alice: await open('alice'), bob: await open('bob'), grace: await open('grace') }
    // Alice only commands; the others receive, too.
    await sockets.bob.command('conversation.sync', {})
    await sockets.grace.command('conversation.sync', {})
    // Who is to be told of this conversation is known from now on; nothing of it has been delivered yet.
    await sockets.alice.command('typing.signal', { conversationId, typing: true })
    await sockets.bob.next('typing')
    await sockets.bob.command('typing.signal', { conversationId, typing: true })
    delivered = await createConversation()
    await sendTo(delivered)
    await sockets.bob.next('entry', ({ entry }) => entry.seq === 2)
    tickets = [await newTicket(), await newTicket()]
    await broken.stopDatabase()
  }, 240_000)

  afterAll(async () => {
    for (const socket of Object.values(sockets ?? {})) socket.webSocket.terminate()
    await broken?.[Symbol.asyncDispose]()
  }, 120_000)

  async function createConversation(): Promise<ConversationId> {
    const { composition } = server
    const id = composition.ids.next<ConversationId>()
    await composition.operations.createConversation(clinic.alice.ctx, {
      conversationId: id,
      kind: 'group',
      mode: 'managed',
      title: 'Ward 3',
      subjectUserId: null,
      history: 'full',
      memberIds: [clinic.bob.userId, clinic.grace.userId],
    })
    return id
  }

  async function sendTo(there: ConversationId): Promise<void> {
    const { ids, operations: doing } = server.composition
    await doing.sendMessage(clinic.alice.ctx, {
      conversationId: there,
      entryId: ids.next<EntryId>(),
      payload: text('Are you there?'),
      header: { priority: 'routine', notify: 'normal' },
    })
  }

  async function newTicket(): Promise<string> {
    const { body } = await ask(server.url, 'POST', '/v1/socket-tickets', { accessToken: clinic.carmen.accessToken })
    return (body as { ticket: string }).ticket
  }

  /** One of each operation, such as would succeed: nothing but the database is in its way. */
  async function prepareRequests(): Promise<Requests> {
    const { ids } = server.composition
    const { alice, bob, carmen, robot, ada } = clinic
    const device = { name: 'A device' }
    const login = { tenant: clinic.slug, login: 'alice', password: TEST_PASSWORD, device }
    const signedIn = await ask(server.url, 'POST', '/v1/sessions', { body: { ...login, refreshTokenIn: 'body' } })
    const { refreshToken, session } = signedIn.body as SignedIn
    const link = await server.composition.operations.createSignInLink(ada.ctx, { userId: robot.userId })
    const audit = await server.composition.operations.listAuditEvents(clinic.cora.ctx, { limit: 1 })
    const there = `/v1/conversations/${conversationId}`
    return {
      createSession: ['/v1/sessions', login],
      refreshSession: ['/v1/sessions/refresh', { refreshToken }],
      redeemSignInLink: ['/v1/sign-in-links/redeem', { token: link.token, password: TEST_PASSWORD, device }],
      listSessions: ['/v1/sessions'],
      endSession: [`/v1/sessions/${session.sessionId}`],
      listDevices: ['/v1/devices'],
      revokeDevice: [`/v1/devices/${session.deviceId}`],
      createSocketTicket: ['/v1/socket-tickets'],
      changePassword: [
        `/v1/users/${alice.userId}/password`,
        { currentPassword: TEST_PASSWORD, newPassword: 'lantern over a quiet harbour' },
      ],
      createUser: ['/v1/users', { userId: ids.next<UserId>(), login: 'new', displayName: 'New', role: 'clinician' }],
      updateUser: [`/v1/users/${carmen.userId}`, { displayName: 'Carmen' }],
      createSignInLink: [`/v1/users/${carmen.userId}/sign-in-links`],
      getUser: [`/v1/users/${bob.userId}`],
      listUsers: ['/v1/users'],
      createTeam: ['/v1/teams', { teamId: ids.next<TeamId>(), name: 'Ward 4' }],
      listTeams: ['/v1/teams'],
      createConversation: [
        '/v1/conversations',
        { conversationId: ids.next<ConversationId>(), kind: 'direct', memberIds: [bob.userId] },
      ],
      getConversation: [there],
      listConversations: ['/v1/conversations'],
      updateConversation: [there, { title: 'Ward 4' }],
      listMembers: [`${there}/members`],
      addMember: [`${there}/members`, { userIds: [carmen.userId] }],
      removeMember: [`${there}/members/${bob.userId}`],
      listCursors: [`${there}/cursors`],
      moveCursor: [`${there}/cursor`, { readSeq: 1 }],
      listEntries: [`${there}/entries`],
      sendMessage: [`${there}/entries`, { entryId: ids.next<EntryId>(), payload: text('Are you there?') }],
      syncConversations: ['/v1/sync'],
      listPresence: [`/v1/presence?userIds=${bob.userId}`],
      listAuditEvents: ['/v1/audit-events'],
      getAuditEvent: [`/v1/audit-events/${audit.items[0]!.auditEventId}`],
    }
  }

  const doers: Readonly<Record<string, 'ada' | 'cora'>> = {
    createUser: 'ada',
    updateUser: 'ada',
    createSignInLink: 'ada',
    createTeam: 'ada',
    listUsers: 'ada',
    listAuditEvents: 'cora',
    getAuditEvent: 'cora',
  }

  test('every audited operation answers a retryable problem and nothing else; public documents are served', async () => {
    const tried = []
    for (const operation of Object.values(operations)) {
      const { operationId, method } = operation
      if (typeof operation.audit !== 'string') {
        expect((await ask(server.url, method, operation.path)).status, operationId).toBe(200)
        continue
      }
      const [path, body] = requests[operationId]!
      const { accessToken } = clinic[doers[operationId] ?? 'alice']
      const options = operation.auth === 'none' ? { body } : { body, accessToken }
      expectUnavailable(await ask(server.url, method, path, options), operationId)
      tried.push(operationId)
    }
    expect(tried.toSorted()).toEqual(Object.keys(requests).toSorted())
  })

  test('a refusal that cannot be recorded is not told: the answer is that nothing can be done now', async () => {
    const { accessToken } = clinic.alice
    const at = (method: string, path: string, options: Parameters<typeof ask>[3] = {}) =>
      ask(server.url, method, path, options)
    expectUnavailable(await at('GET', '/v1/conversations'), 'no token')
    expectUnavailable(await at('GET', '/v1/conversations', { accessToken: 'x'.repeat(40) }), 'a broken token')
    expectUnavailable(await at('GET', '/v1/nowhere', { accessToken }), 'an unknown path')
    expectUnavailable(await at('DELETE', '/v1/limits', { accessToken }), 'an unknown method')
    expectUnavailable(await at('POST', '/v1/sessions', { body: '{"tenant":' }), 'broken JSON')
    expectUnavailable(await at('GET', '/v1/sync?limit=0', { accessToken }), 'broken input')
    expectUnavailable(
      await at('GET', '/v1/sync', { accessToken, headers: { origin: 'https://elsewhere.example' } }),
      'a foreign page',
    )
    expectUnavailable(
      await at('GET', `/v1/conversations/${server.composition.ids.next()}`, { accessToken }),
      'a conversation that is not there',
    )
    expect(await sendBytes('NONSENSE\r\n\r\n')).toMatch(/^HTTP\/1\.1 503 [^]*platform\/unavailable/)
  })

  function sendBytes(bytes: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let answer = ''
      const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => socket.write(bytes))
      socket.on('data', (data) => (answer += data.toString()))
      socket.on('close', () => resolve(answer))
      socket.on('error', reject)
    })
  }

  test('sockets stay open, their commands answer the same problem, and a ping its answer', async () => {
    const { alice } = sockets
    const entryId = server.composition.ids.next<EntryId>()
    const send = () => alice.command('message.send', { conversationId, entryId, payload: text('Are you there?') })
    await expectRefusedAsUnavailable(send(), 'message.send')
    await expectRefusedAsUnavailable(sockets.grace.command('conversation.sync', {}), 'conversation.sync')
    await expectRefusedAsUnavailable(alice.command('cursor.move', { conversationId, readSeq: 1 }), 'cursor.move')
    await expectRefusedAsUnavailable(alice.command('presence.set', { state: 'away' }), 'presence.set')
    await expectRefusedAsUnavailable(
      alice.command('presence.watch', { userIds: [clinic.bob.userId] }),
      'presence.watch',
    )
    await expectRefusedAsUnavailable(alice.command('no.such' as 'ping', {}), 'an unknown command')
    await expectRefusedAsUnavailable(alice.command('presence.set', {} as never), 'broken input')
    expect(await alice.command('ping', {})).toHaveProperty('at')
  })

  test('no new socket is opened, and its ticket is not said to be wrong', async () => {
    for (const ticket of [tickets[0]!, 'x'.repeat(43)]) {
      const refused: unknown = await connectTestSocket(server.url, ticket).catch((error: unknown) => error)
      expect(String(refused)).toContain('Unexpected server response: 503')
    }
  })

  test('an entry that cannot be recorded as delivered is not delivered: the socket is closed with 4503', async () => {
    const { bob, grace } = sockets
    const entry = { conversationId, seq: 2 } as Entry
    const appended = { conversationId, seq: 2, isMembership: false, open: () => Promise.resolve(entry) }
    server.composition.fanOut.entryAppended(clinic.bob.ctx.tenantId, appended)
    expect(await bob.closed).toBe(4503)
    expect(await grace.closed).toBe(4503)
    const heard = [...bob.frames, ...grace.frames].filter((frame) => frame.op === 'entry')
    expect(heard.filter((frame) => frame.entry.conversationId === conversationId)).toEqual([])
  })

  test('it recovers by itself, without a trace of what was refused', async () => {
    await broken.startDatabase()
    const { operations: doing } = server.composition
    const page = await untilRecovered(() => doing.listEntries(clinic.alice.ctx, { conversationId, limit: 200 }))
    expect(page.items.map(({ seq }) => seq)).toEqual([1])
    const { alice } = sockets
    const [, body] = requests['sendMessage'] as readonly [string, { entryId: EntryId }]
    const sent = await alice.command('message.send', {
      conversationId,
      entryId: body.entryId,
      payload: text('Are you there?'),
    })
    expect(sent).toMatchObject({ seq: 2, countable: 1 })
    const carmen = await connectTestSocket(server.url, tickets[1]!).catch((error: unknown) =>
      error instanceof Error ? error : new Error('not an error'),
    )
    if (carmen instanceof Error) expect(String(carmen)).toContain('401')
    else carmen.webSocket.terminate()
    await expect(alice.command('no.such' as 'ping', {})).rejects.toThrow(CommandRefused)
    const { items } = await doing.listAuditEvents(clinic.cora.ctx, { limit: 200, resourceId: conversationId })
    const acts = items.filter((event) => event.outcome === 'success').map((event) => event.action)
    expect(acts.toSorted()).toEqual([
      'conversation.create',
      'conversation.sync',
      'conversation.sync',
      'entry.list',
      'message.send',
    ])
  })

  test('what ended meanwhile is recorded when the database is back: the socket, what it typed, what it received', async () => {
    const { operations: doing } = server.composition
    const trail = async (filter: object) =>
      (await doing.listAuditEvents(clinic.cora.ctx, { limit: 200, ...filter })).items.map(({ details }) => details)
    await expect
      .poll(() => trail({ action: 'socket.close', actorUserId: clinic.bob.userId }), { timeout: 30_000 })
      .toEqual([{ code: 4503, typing: [`${conversationId}:1`], closedAt: expect.any(String) }])
    await expect
      .poll(() => trail({ action: 'delivery.close', resourceId: delivered }), { timeout: 30_000 })
      .toEqual(
        expect.arrayContaining([
          expect.objectContaining({ userId: clinic.bob.userId, lastSeq: 2, interrupted: false }),
        ]),
      )
  })
})
