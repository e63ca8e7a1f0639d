/** @feature A1 @control OWASP API1; ASVS 8.4.1; 45 CFR 164.312(a)(1) */
import {
  operations,
  socketCommands,
  type CommandOp,
  type ConversationId,
  type EntryId,
  type OperationId,
  type TeamId,
  type UserId,
} from '@sotto/protocol'
import {
  CommandRefused,
  connectTestSocket,
  databaseKinds,
  openTestSocket,
  startTestServer,
  TEST_PASSWORD,
  type Clinic,
  type TestServer,
  type TestSocket,
} from '@sotto/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { askOperation, codeOf, withoutInstance } from './kit/ask.ts'
import { handOf, hire, openWard, signIn, type Hand, type Ward } from './kit/clinic.ts'
import { digestTables } from './kit/digest.ts'
import { openOwner, type Owner } from './kit/owner.ts'

type Input = Readonly<Record<string, unknown>>

interface House {
  readonly clinic: Clinic
  readonly ward: Ward
  readonly ids: Readonly<Record<string, string>>
  /** Everything by which this tenant could be recognised in an answer to another. */
  readonly marks: readonly string[]
}

const text = (words: string) => ({ v: 1, type: 'text', text: words }) as const

/** Every operation that names something, on the things of `of`. What creates is tried last: it makes twins. */
function aimAt(of: Readonly<Record<string, string>>, fresh: () => string): readonly (readonly [OperationId, Input])[] {
  const { conversationId, userId, teamId, sessionId, deviceId, auditEventId, after, syncToken } = of
  return [
    ['endSession', { sessionId }],
    ['revokeDevice', { deviceId }],
    ['getUser', { userId }],
    ['updateUser', { userId, displayName: 'Taken over' }],
    ['updateUser', { userId, active: false }],
    ['updateUser', { userId: of['own'], teamIds: [teamId] }],
    ['createSignInLink', { userId }],
    ['changePassword', { userId, currentPassword: TEST_PASSWORD, newPassword: 'lantern over a harbour' }],
    ['getAuditEvent', { auditEventId }],
    ['listAuditEvents', { resourceId: conversationId }],
    ['listAuditEvents', { actorUserId: userId }],
    ['listAuditEvents', { after: auditEventId, limit: 200 }],
    ['listUsers', { after, limit: 200 }],
    ['listTeams', { after, limit: 200 }],
    ['listSessions', { after, limit: 200 }],
    ['listDevices', { after, limit: 200 }],
    ['listConversations', { after: conversationId, limit: 200 }],
    ['syncConversations', { token: syncToken }],
    ['listPresence', { userIds: userId }],
    ['getConversation', { conversationId }],
    ['updateConversation', { conversationId, title: 'Taken over' }],
    ['listMembers', { conversationId }],
    ['addMember', { conversationId, userIds: [of['own']] }],
    ['addMember', { conversationId: of['ownConversation'], userIds: [userId] }],
    ['removeMember', { conversationId, userId }],
    ['removeMember', { conversationId: of['ownConversation'], userId }],
    ['listCursors', { conversationId }],
    ['moveCursor', { conversationId, readSeq: 2 }],
    ['sendMessage', { conversationId, entryId: of['entryId'], payload: text('Taken over') }],
    ['listEntries', { conversationId }],
    ['createConversation', { conversationId: fresh(), kind: 'group', memberIds: [userId] }],
    ['createConversation', { conversationId: fresh(), kind: 'group', memberIds: [of['own']], subjectUserId: userId }],
    ['createUser', { userId: fresh(), login: fresh(), displayName: 'New', role: 'clinician', teamIds: [teamId] }],
  ]
}

function commandsAt(of: Readonly<Record<string, string>>): readonly (readonly [CommandOp, Input])[] {
  const { conversationId, userId } = of
  return [
    ['message.send', { conversationId, entryId: of['entryId'], payload: text('Taken over') }],
    ['cursor.move', { conversationId, readSeq: 1 }],
    ['typing.signal', { conversationId, typing: true }],
    ['presence.watch', { userIds: [userId] }],
    ['conversation.sync', { token: of['syncToken'] }],
  ]
}

describe.each(databaseKinds)('on %s', (kind) => {
  let server: TestServer
  let owner: Owner
  let ours: House
  let theirs: House
  let nowhere: Readonly<Record<string, string>>
  const fresh = <Id extends string>() => server.composition.ids.next<Id>()
  const whereTheirs = () => `where tenant_id = '${theirs.clinic.ada.ctx.tenantId}'`
  const people = (): readonly Hand[] =>
    [ours.clinic.ada, ours.clinic.cora, ours.clinic.alice, ours.clinic.bob, ours.clinic.robot].map((one) =>
      handOf(ours.clinic, one),
    )

  beforeAll(async () => {
    server = await startTestServer(kind)
    owner = await openOwner(server)
    ours = await build(await server.createClinic())
    theirs = await build(await server.createClinic())
    const ids = Object.keys(theirs.ids).map((name) => [name, fresh<string>()])
    nowhere = { ...Object.fromEntries(ids), after: ours.ids['after']!, syncToken: ours.ids['syncToken']! }
  })
  afterAll(async () => {
    await owner?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  /** Both tenants have the same things, in the same number and under the same names. */
  async function build(clinic: Clinic): Promise<House> {
    const { operations: run } = server.composition
    const ward = await openWard(server, clinic, [clinic.alice.userId, clinic.bob.userId, clinic.robot.userId])
    const { items } = await run.listAuditEvents(clinic.cora.ctx, { limit: 1 })
    const entries = await run.listEntries(clinic.grace.ctx, { conversationId: ward.conversationId, limit: 5 })
    const ids = {
      conversationId: ward.conversationId,
      teamId: ward.teamId,
      userId: clinic.carmen.userId,
      sessionId: clinic.carmen.ctx.sessionId,
      deviceId: clinic.carmen.ctx.deviceId,
      auditEventId: items[0]!.auditEventId,
      entryId: entries.items.at(-1)!.entryId,
      after: (await run.listUsers(clinic.ada.ctx, { limit: 1 })).next!,
      syncToken: (await run.syncConversations(clinic.alice.ctx, { limit: 1 })).token,
    }
    const members = Object.values(clinic).flatMap((one) =>
      typeof one === 'string' ? [one] : [one.userId, one.ctx.sessionId, one.ctx.deviceId],
    )
    const { conversationId, teamId, auditEventId, entryId } = ids
    return {
      clinic,
      ward,
      ids,
      marks: [...members, clinic.ada.ctx.tenantId, conversationId, teamId, auditEventId, entryId],
    }
  }

  const mixed = (ids: Readonly<Record<string, string>>) => ({
    ...ids,
    own: ours.clinic.alice.userId as string,
    ownConversation: ours.ids['conversationId']!,
  })

  test('nobody can tell what is of another tenant from what does not exist', async ({ task }) => {
    const before = await digestTables(owner, whereTheirs())
    let asked = 0
    for (const caller of people()) {
      const [atTheirs, atNothing] = [aimAt(mixed(theirs.ids), fresh), aimAt(mixed(nowhere), fresh)]
      for (const [index, [operationId, input]] of atTheirs.entries()) {
        const answer = await askOperation(server.url, operationId, input, caller.accessToken)
        const twin = await askOperation(server.url, operationId, atNothing[index]![1], caller.accessToken)
        const name = `${caller.role} ${operationId}`
        expect([name, codeOf(answer), answer.status]).toEqual([name, codeOf(twin), twin.status])
        if (codeOf(answer) !== undefined) expect(withoutInstance(answer.body)).toEqual(withoutInstance(twin.body))
        else expect([name, shown(echoless(answer.text))]).toEqual([name, []])
        asked += 2
      }
    }
    expect(await digestTables(owner, whereTheirs())).toEqual(before)
    task.meta.counts = { [`requests across tenants on ${kind}`]: asked }
  })

  test('every operation that takes an id was asked', () => {
    const named = new Set(aimAt(nowhere, () => 'x').map(([operationId]) => operationId as string))
    /** These name nothing that exists, or are tried as twins and as secrets below. */
    const elsewhere = [
      'createTeam',
      'createSession',
      'refreshSession',
      'redeemSignInLink',
      'createSocketTicket',
      'getLimits',
      'getOpenApi',
      'getAsyncApi',
      'listProblems',
    ]
    expect([...named, ...elsewhere].toSorted()).toEqual(Object.keys(operations).toSorted())
    expect([...commandsAt(nowhere).map(([op]) => op as string), 'ping', 'presence.set'].toSorted()).toEqual(
      Object.keys(socketCommands).toSorted(),
    )
  })

  test('nor over a socket, which hears nothing of the other tenant', async () => {
    const before = await digestTables(owner, whereTheirs())
    const sockets: TestSocket[] = []
    for (const caller of people()) {
      const socket = await openTestSocket(server.url, caller.accessToken)
      sockets.push(socket)
      await socket.command('conversation.sync', {})
      const atNothing = commandsAt(mixed(nowhere))
      for (const [index, [op, input]] of commandsAt(mixed(theirs.ids)).entries()) {
        const answer = await tell(socket, op, input)
        const twin = await tell(socket, op, atNothing[index]![1])
        expect([caller.role, op, echoless(JSON.stringify(answer))]).toEqual([
          caller.role,
          op,
          echoless(JSON.stringify(twin)),
        ])
      }
    }
    expect(without(await digestTables(owner, whereTheirs()))).toEqual(without(before))
    await liveThere()
    for (const socket of sockets) {
      await socket.command('ping', {})
      expect(shown(echoless(JSON.stringify(socket.frames)))).toEqual([])
      socket.close()
    }
  })

  /** Everything that makes a frame, in the other tenant, heard by those whom it concerns. */
  async function liveThere(): Promise<void> {
    const { clinic, ward } = theirs
    const bob = await openTestSocket(server.url, clinic.bob.accessToken)
    const alice = await openTestSocket(server.url, clinic.alice.accessToken)
    await Promise.all([bob.command('conversation.sync', {}), alice.command('conversation.sync', {})])
    const { conversationId } = ward
    await alice.command('presence.watch', { userIds: [clinic.bob.userId] })
    const { seq } = await bob.command('message.send', {
      conversationId,
      entryId: fresh<EntryId>(),
      payload: text('Can you hear me?'),
    })
    await bob.command('typing.signal', { conversationId, typing: true })
    await bob.command('presence.set', { state: 'away' })
    await bob.command('cursor.move', { conversationId, readSeq: seq })
    await alice.next('entry', ({ entry }) => entry.seq === seq)
    await alice.next('typing')
    await alice.next('cursor')
    await alice.next('presence', ({ presence }) => presence.state === 'away')
    bob.close()
    alice.close()
  }

  test('secrets of one tenant open nothing in another', async () => {
    const { operations: run } = server.composition
    const zoe = await hire(server, theirs.clinic, 'zoe', 'clinician')
    const signedIn = await run.createSession(
      { requestId: 'test', address: null },
      {
        tenant: theirs.clinic.slug,
        login: 'zoe',
        password: TEST_PASSWORD,
        device: { name: 'd' },
        refreshTokenIn: 'body',
      },
    )
    const link = (await run.createSignInLink(theirs.clinic.ada.ctx, { userId: zoe.userId })).token
    const { ticket } = await run.createSocketTicket(theirs.clinic.alice.ctx, {})
    const { refreshToken: ownToken } = await signIn(server, handOf(ours.clinic, ours.clinic.alice))
    /** The same secret, said to be ours. */
    const moved = (secret: string) => `${ownToken.split('.')[0]}.${secret.split('.')[1]}`
    const device = { name: 'x' }
    const ask = async (operationId: OperationId, input: Input) =>
      codeOf(await askOperation(server.url, operationId, input, undefined))
    expect(await ask('refreshSession', { refreshToken: moved(signedIn.refreshToken.reveal()) })).toBe(
      'identity/refresh-invalid',
    )
    expect(await ask('redeemSignInLink', { token: moved(link), password: 'a lantern over the harbour', device })).toBe(
      'identity/link-invalid',
    )
    await expect(connectTestSocket(server.url, moved(ticket))).rejects.toThrow('401')
    const atOurs = { tenant: ours.clinic.slug, password: TEST_PASSWORD }
    expect(await ask('createSession', { ...atOurs, login: 'zoe', device })).toBe('identity/sign-in-failed')
    const { deviceId } = signedIn.session
    const answer = await askOperation(
      server.url,
      'createSession',
      { ...atOurs, login: 'alice', device: { ...device, deviceId, deviceSecret: signedIn.deviceSecret!.reveal() } },
      undefined,
    )
    expect(answer.status).toBe(201)
    expect((answer.body as { session: { deviceId: string } }).session.deviceId).not.toBe(deviceId)
    // None of them was used up by being tried elsewhere.
    expect(await ask('refreshSession', { refreshToken: signedIn.refreshToken.reveal() })).toBeUndefined()
    expect(
      await ask('redeemSignInLink', { token: link, password: 'a lantern over the harbour', device }),
    ).toBeUndefined()
    ;(await connectTestSocket(server.url, ticket)).close()
  })

  test("a token with another tenant's name in it is no token", async () => {
    const [header, payload, signature] = theirs.clinic.alice.accessToken.split('.') as [string, string, string]
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Input
    const changed = Buffer.from(JSON.stringify({ ...claims, tid: ours.clinic.ada.ctx.tenantId })).toString('base64url')
    const answer = await askOperation(server.url, 'listUsers', {}, [header, changed, signature].join('.'))
    expect(codeOf(answer)).toBe('identity/unauthenticated')
  })

  test('twins with the same ids live beside each other, and each hears its own', async () => {
    const before = await digestTables(owner, whereTheirs())
    const { clinic } = ours
    const { conversationId, teamId, userId } = theirs.ids as {
      conversationId: ConversationId
      teamId: TeamId
      userId: UserId
    }
    const create = async (operationId: OperationId, input: Input, token: string) =>
      expect((await askOperation(server.url, operationId, input, token)).status).toBe(201)
    await create('createTeam', { teamId, name: 'Twin' }, clinic.ada.accessToken)
    await create('createUser', { userId, login: 'twin', displayName: 'Twin', role: 'patient' }, clinic.ada.accessToken)
    await create(
      'createConversation',
      { conversationId, kind: 'group', title: 'Twin', memberIds: [clinic.bob.userId] },
      clinic.alice.accessToken,
    )
    expect(without(await digestTables(owner, whereTheirs()))).toEqual(without(before))

    const here = await openTestSocket(server.url, clinic.bob.accessToken)
    await here.command('conversation.sync', {})
    await askOperation(
      server.url,
      'sendMessage',
      { conversationId, entryId: theirs.ids['entryId'], payload: text('Only here') },
      clinic.alice.accessToken,
    )
    await here.next('entry', ({ entry }) => entry.payload.type === 'text' && entry.payload.text === 'Only here')
    await liveThere()
    await here.command('ping', {})
    expect(JSON.stringify(here.frames)).not.toContain('Can you hear me?')
    here.close()
    const there = await askOperation(server.url, 'listEntries', { conversationId }, theirs.clinic.alice.accessToken)
    expect(there.text).not.toContain('Only here')
    expect(there.text).toContain('Can you hear me?')
  })

  /** Deliveries and tickets come with listening. */
  function without({ delivery: _delivery, socket_ticket: _ticket, ...rest }: Readonly<Record<string, string>>) {
    return rest
  }

  /** What the caller has named may come back to it; a sync token is new each time. */
  function echoless(answer: string): string {
    const names = Object.keys(theirs.ids).filter((name) => theirs.ids[name] !== nowhere[name])
    const echoes = names.reduce((text, name) => text.replaceAll(theirs.ids[name]!, nowhere[name]!), answer)
    return echoes.replaceAll(/"token":"[^"]*"/g, '')
  }

  function shown(answer: string): readonly string[] {
    return theirs.marks.filter((mark) => answer.includes(mark))
  }

  async function tell(socket: TestSocket, op: CommandOp, input: Input): Promise<unknown> {
    try {
      return await socket.command(op, input as never)
    } catch (error) {
      if (error instanceof CommandRefused) return withoutInstance(error.problem)
      throw error
    }
  }
})
