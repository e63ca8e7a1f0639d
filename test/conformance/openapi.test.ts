/** @feature J1 @control OWASP API9 */
import {
  operations,
  renderAsyncApi,
  renderOpenApi,
  socketCommands,
  type CommandOp,
  type ConversationId,
  type EntryId,
  type Frame,
  type Operation,
  type OperationId,
  type UserId,
} from '@sotto/protocol'
import {
  databaseKinds,
  openTestSocket,
  startTestServer,
  TEST_PASSWORD,
  type Clinic,
  type TestServer,
} from '@sotto/testkit'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { askOperation, codeOf, type Answer } from './kit/ask.ts'
import { handOf, signIn } from './kit/clinic.ts'
import { createSocketValidators, createValidators, type Validators } from './kit/documents.ts'

type Json = Readonly<Record<string, unknown>>
const document = renderOpenApi({ version: '1.2.3' })

describe('the document', () => {
  test('has the form of OpenAPI 3.1', () => {
    expect(document).toMatchObject({
      openapi: '3.1.0',
      info: { title: 'Sotto', version: '1.2.3' },
      security: [{ session: [] }],
    })
    const paths = document['paths'] as Record<string, Record<string, Json>>
    const ids: unknown[] = []
    for (const [path, methods] of Object.entries(paths)) {
      expect(path).toMatch(/^\/v1(\/[a-z-]+(\.json)?|\/\{[A-Za-z]+\})+$/)
      for (const [method, operation] of Object.entries(methods)) {
        expect(['get', 'post', 'put', 'patch', 'delete']).toContain(method)
        ids.push(operation['operationId'])
        expectOperation(path, operation)
      }
    }
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('has no reference that leads nowhere, and no component that nobody refers to', () => {
    const { schemas } = document['components'] as { schemas: Json }
    const used = new Set(
      [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1]!),
    )
    expect([...used].toSorted()).toEqual(Object.keys(schemas).toSorted())
    expect(JSON.stringify(document)).not.toContain('#/$defs/')
  })

  test('has schemas of JSON Schema 2020-12', () => {
    const ajv = new Ajv2020({ strict: true, allowUnionTypes: true })
    for (const schema of Object.values((document['components'] as { schemas: Json }).schemas))
      expect(ajv.validateSchema(schema as Json)).toBe(true)
    expect(() => createValidators()).not.toThrow()
  })

  test('is the same in the repository and at a running server but for its version', () => {
    expect(renderOpenApi({ version: '1.2.3' })).toEqual(document)
    expect(JSON.parse(JSON.stringify(document))).toEqual(document)
  })
})

function expectOperation(path: string, operation: Json): void {
  const parameters = operation['parameters'] as readonly { name: string; in: string; required: boolean; schema: Json }[]
  const inPath = parameters.filter((one) => one.in === 'path')
  expect(inPath.map(({ name }) => `{${name}}`).toSorted()).toEqual(
    [...path.matchAll(/\{[A-Za-z]+\}/g)].map(([name]) => name).toSorted(),
  )
  expect(inPath.every(({ required }) => required)).toBe(true)
  const responses = operation['responses'] as Record<string, { description: string; content?: Json }>
  for (const [status, response] of Object.entries(responses)) {
    expect(Number(status)).toBeGreaterThanOrEqual(200)
    expect(response.description).not.toBe('')
    if (Number(status) >= 400) expect(Object.keys(response.content!)).toEqual(['application/problem+json'])
  }
}

describe.each(databaseKinds)('a running server on %s', (kind) => {
  let server: TestServer
  let clinic: Clinic
  let validators: Validators
  const walked = new Set<string>()

  beforeAll(async () => {
    server = await startTestServer(kind)
    clinic = await server.createClinic()
    validators = createValidators((await call('getOpenApi')).body as Json)
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  async function call(
    operationId: OperationId,
    input: Json = {},
    token: string = clinic.alice.accessToken,
  ): Promise<Answer> {
    const answer = await askOperation(server.url, operationId, input, token)
    const operation: Operation = operations[operationId]
    expect([operationId, codeOf(answer), answer.status]).toEqual([operationId, undefined, operation.reply.status])
    if (validators !== undefined)
      expect([operationId, validators.checkReply(operationId, answer.status, answer.body)]).toEqual([
        operationId,
        undefined,
      ])
    walked.add(operationId)
    return answer
  }

  test('answers every operation as its document says', async () => {
    const { ids } = server.composition
    const { ada, cora, alice, bob, carmen } = clinic
    for (const meta of ['getOpenApi', 'getAsyncApi', 'getLimits', 'listProblems'] as const) await call(meta)
    const teamId = ids.next<string>()
    const userId = ids.next<UserId>()
    await call('createTeam', { teamId, name: 'Ward 3 \u{1f48a}' }, ada.accessToken)
    await call(
      'createUser',
      { userId, login: 'nora', displayName: 'Nora', role: 'clinician', teamIds: [teamId] },
      ada.accessToken,
    )
    await call('updateUser', { userId, displayName: 'Nora the nurse' }, ada.accessToken)
    const link = (await call('createSignInLink', { userId }, ada.accessToken)).body as { token: string }
    const device = { name: 'phone' }
    await call('redeemSignInLink', { token: link.token, password: TEST_PASSWORD, device })
    const nora = (await call('createSession', { tenant: clinic.slug, login: 'nora', password: TEST_PASSWORD, device }))
      .body as { accessToken: string }
    await call(
      'changePassword',
      { userId, currentPassword: TEST_PASSWORD, newPassword: 'a lantern over the harbour' },
      nora.accessToken,
    )
    for (const list of ['listTeams', 'listUsers', 'listDevices', 'listSessions'] as const)
      await call(list, { limit: 2 })
    await call('getUser', { userId: bob.userId })
    const { refreshToken } = await signIn(server, handOf(clinic, bob))
    await call('refreshSession', { refreshToken })
    const { session } = await signIn(server, handOf(clinic, carmen))
    await call('endSession', { sessionId: session.sessionId }, ada.accessToken)
    await call('revokeDevice', { deviceId: session.deviceId }, ada.accessToken)
    await call('createSocketTicket')
    await walkConversation(ids.next<ConversationId>())
    const events = (await call('listAuditEvents', { limit: 200 }, cora.accessToken)).body as {
      items: { auditEventId: string }[]
    }
    await call('getAuditEvent', { auditEventId: events.items[0]!.auditEventId }, cora.accessToken)
    await call('listPresence', { userIds: `${alice.userId},${bob.userId}` })
    expect([...walked].toSorted()).toEqual(Object.keys(operations).toSorted())
  })

  async function walkConversation(conversationId: ConversationId): Promise<void> {
    const { bob, carmen, grace } = clinic
    const memberIds = [bob.userId]
    const of = { conversationId }
    await call('createConversation', {
      ...of,
      kind: 'group',
      title: 'Wound care',
      subjectUserId: bob.userId,
      memberIds,
    })
    const payload = { v: 1, type: 'text', text: 'How are you, Bob? \u{1f9d1}\u200d\u2695\ufe0f' }
    await call('sendMessage', { ...of, entryId: server.composition.ids.next<EntryId>(), payload })
    await call('addMember', { ...of, userIds: [carmen.userId, grace.userId] })
    await call('removeMember', { ...of, userId: carmen.userId })
    for (const change of [{ title: null }, { closed: true }, { closed: false }])
      await call('updateConversation', { ...of, ...change })
    await call('moveCursor', { ...of, readSeq: 2 }, bob.accessToken)
    for (const read of ['getConversation', 'listMembers', 'listEntries', 'listCursors'] as const) await call(read, of)
    await call('listConversations')
    const first = (await call('syncConversations')).body as { token: string }
    await call('syncConversations', { token: first.token })
  }

  test('answers every command, and sends every frame, as its document says', async () => {
    const { ids } = server.composition
    const { alice, bob } = clinic
    const { checkReply, checkFrame } = createSocketValidators(renderAsyncApi({ version: '0' }))
    const conversationId = ids.next<ConversationId>()
    const [fromAlice, fromBob] = await Promise.all([
      openTestSocket(server.url, alice.accessToken),
      openTestSocket(server.url, bob.accessToken),
    ])
    const run = async (op: CommandOp, body: Json) =>
      expect([op, checkReply(op, await fromAlice.command(op, body as never))]).toEqual([op, undefined])
    await call('createConversation', { conversationId, kind: 'group', title: 'Wound care', memberIds: [bob.userId] })
    await run('conversation.sync', {})
    await fromBob.command('conversation.sync', {})
    await run('presence.watch', { userIds: [bob.userId] })
    await run('presence.set', { state: 'away' })
    await run('typing.signal', { conversationId, typing: true })
    await run('message.send', {
      conversationId,
      entryId: ids.next<EntryId>(),
      payload: { v: 1, type: 'text', text: 'Hello' },
    })
    await run('cursor.move', { conversationId, readSeq: 2 })
    await run('ping', {})
    await expect(fromAlice.command('message.send', {} as never)).rejects.toThrow('platform/invalid-input')
    await fromBob.next('entry')
    await fromBob.next('typing')
    await fromBob.next('cursor')
    await fromBob.command('presence.set', { state: 'away' })
    await fromAlice.next('presence')
    await call('removeMember', { conversationId, userId: bob.userId })
    await fromBob.next('capabilities')
    await fromAlice.next('conversation')
    await call('endSession', { sessionId: bob.ctx.sessionId }, bob.accessToken)
    await fromBob.next('session')
    const frames: readonly Frame[] = [...fromAlice.frames, ...fromBob.frames]
    for (const frame of frames) expect([frame.op, checkFrame(frame)]).toEqual([frame.op, undefined])
    const seen = new Set(frames.map(({ op }) => op))
    expect([...seen].toSorted()).toEqual([
      'capabilities',
      'conversation',
      'cursor',
      'entry',
      'error',
      'hello',
      'presence',
      'reply',
      'session',
      'typing',
    ])
    expect(Object.keys(socketCommands)).toHaveLength(7)
    fromAlice.close()
  })
})
