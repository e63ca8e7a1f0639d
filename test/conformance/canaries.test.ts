/** @feature C1 @control 45 CFR 164.312(a)(1); ASVS 14.2.1, 16.2.5, 16.4.1 */
import {
  problemCatalogue,
  type ConversationId,
  type EntryId,
  type OperationId,
  type TeamId,
  type UserId,
} from '@sotto/protocol'
import {
  connectTestSocket,
  databaseKinds,
  openTestSocket,
  startTestServer,
  type Clinic,
  type TestServer,
} from '@sotto/testkit'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createLog } from '../../apps/server/src/platform/log/log.ts'
import { ask, askOperation, codeOf, speakRaw, type Answer } from './kit/ask.ts'
import { openOwner } from './kit/owner.ts'

/** Words that stand nowhere else. Where one of them comes out, something that belongs to a person does. */
const canaries = {
  login: 'canarylogin',
  name: 'Canary Nameson',
  password: 'canarypassword in a quiet harbour',
  title: 'Canarytitle',
  text: 'canarytext says the patient',
  team: 'Canaryteam',
  device: 'Canarydevice',
  guess: 'canaryguess of a password',
  field: 'canaryfield',
  path: 'canarypath',
  header: 'canaryheader',
}
const isCanary = /canary[a-z ]*/gi

describe.each(databaseKinds)('on %s', (kind) => {
  let server: TestServer
  let clinic: Clinic
  const lines: string[] = []
  const refusals: Answer[] = []
  const answers: Answer[] = []
  const secrets: string[] = []

  beforeAll(async () => {
    server = await startTestServer(kind, { log: createLog({ level: 'debug', write: (line) => lines.push(line) }) })
    clinic = await server.createClinic()
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  async function call(
    operationId: OperationId,
    input: Readonly<Record<string, unknown>>,
    token?: string,
  ): Promise<Answer> {
    return keep(await askOperation(server.url, operationId, input, token))
  }

  function keep(answer: Answer): Answer {
    answers.push(answer)
    if (codeOf(answer) !== undefined) refusals.push(answer)
    return answer
  }

  /** A day in the clinic, in which everything that can be said is said, and everything that can go wrong does. */
  async function live(): Promise<string> {
    const { ids } = server.composition
    const { ada, alice } = clinic
    const userId = ids.next<UserId>()
    const teamId = ids.next<TeamId>()
    await call('createTeam', { teamId, name: canaries.team }, ada.accessToken)
    await call(
      'createUser',
      { userId, login: canaries.login, displayName: canaries.name, role: 'patient', teamIds: [teamId] },
      ada.accessToken,
    )
    const link = (await call('createSignInLink', { userId }, ada.accessToken)).body as { token: string }
    await call('redeemSignInLink', { token: link.token, password: 'canary', device: { name: canaries.device } })
    await call('redeemSignInLink', {
      token: link.token,
      password: canaries.password,
      device: { name: canaries.device },
    })
    const signIn = { tenant: clinic.slug, login: canaries.login, device: { name: canaries.device } }
    const session = (await call('createSession', { ...signIn, password: canaries.password })).body as {
      accessToken: string
      refreshToken: string
      deviceSecret: string
    }
    secrets.push(link.token, session.accessToken, session.refreshToken, session.deviceSecret)
    await call('createSession', { ...signIn, password: canaries.guess })
    await call('createSession', { ...signIn, login: `${canaries.login}2`, password: canaries.guess })
    await call('createSession', { ...signIn, tenant: 'canarytenant', password: canaries.guess })
    const conversationId = ids.next<ConversationId>()
    await call(
      'createConversation',
      { conversationId, kind: 'group', title: canaries.title, subjectUserId: userId, memberIds: [userId] },
      alice.accessToken,
    )
    await call(
      'createConversation',
      { conversationId, kind: 'group', title: `${canaries.title} 2`, memberIds: [userId] },
      alice.accessToken,
    )
    const entryId = ids.next<EntryId>()
    for (const words of [canaries.text, `${canaries.text} 2`])
      await call(
        'sendMessage',
        { conversationId, entryId, payload: { v: 1, type: 'text', text: words } },
        session.accessToken,
      )
    for (const read of ['listEntries', 'listMembers', 'getConversation'] as const)
      await call(read, { conversationId }, alice.accessToken)
    await call(
      'changePassword',
      { userId, currentPassword: canaries.guess, newPassword: canaries.password },
      session.accessToken,
    )
    await call(
      'createUser',
      { userId: ids.next(), login: canaries.login, displayName: canaries.name, role: 'patient' },
      ada.accessToken,
    )
    await overSocket(session.accessToken, conversationId)
    await goWrong(session.accessToken)
    return session.accessToken
  }

  async function overSocket(accessToken: string, conversationId: ConversationId): Promise<void> {
    const { ticket } = (await call('createSocketTicket', {}, accessToken)).body as { ticket: string }
    secrets.push(ticket)
    const socket = await connectTestSocket(server.url, ticket)
    await expect(connectTestSocket(server.url, ticket)).rejects.toThrow('401')
    await socket.command('conversation.sync', {})
    await socket.command('message.send', {
      conversationId,
      entryId: server.composition.ids.next<EntryId>(),
      payload: { v: 1, type: 'text', text: canaries.text },
    })
    for (const frame of [
      `{"op":"${canaries.field}","id":1}`,
      `{"op":"ping","id":2,"${canaries.field}":1}`,
      `{"op":"message.send","id":3,"payload":{"text":"${canaries.text}"}}`,
      `{"${canaries.text}`,
    ])
      socket.webSocket.send(frame)
    const errorsSeen = () => socket.frames.filter(({ op }) => op === 'error')
    await vi.waitFor(() => expect(errorsSeen()).toHaveLength(4), 15_000)
    const errors = errorsSeen()
    expect(JSON.stringify(errors).match(isCanary)).toBeNull()
    socket.close()
    await socket.closed
  }

  async function goWrong(token: string): Promise<void> {
    const { url } = server
    const body = (text: string) => ({ method: 'POST', path: '/v1/sessions', body: text })
    for (const question of [
      body(`{"login":"${canaries.login}`),
      body(JSON.stringify({ login: [canaries.login], password: canaries.guess })),
      body(
        JSON.stringify({
          login: `${canaries.login} with spaces`,
          password: canaries.guess,
          device: { name: `${canaries.device}\n` },
        }),
      ),
      body(JSON.stringify({ [canaries.field]: 1, device: { [canaries.field]: 2 } })),
      { ...body(canaries.text), headers: { 'content-type': `text/${canaries.header}` } },
      {
        method: 'GET',
        path: `/v1/${canaries.path}/${canaries.path}?${canaries.field}=${canaries.text.replaceAll(' ', '+')}`,
      },
      { method: 'GET', path: `/${canaries.path}%` },
      { method: 'GET', path: `/v1/users/${canaries.path}` },
      { method: 'GET', path: `/v1/users?${canaries.field}=1&role=${canaries.field}&after=${canaries.field}` },
      { method: 'PATCH', path: `/v1/users?${canaries.field}` },
      {
        method: 'GET',
        path: '/v1/users',
        headers: { 'sotto-purpose': canaries.header, 'request-id': canaries.header, 'x-request-id': canaries.header },
      },
      { method: 'GET', path: '/v1/users', headers: { origin: `https://${canaries.header}.example` } },
      {
        method: 'GET',
        path: '/v1/users',
        headers: { cookie: `sotto-device=${canaries.header}; ${canaries.header}=1` },
      },
      { method: 'GET', path: '/v1/users', headers: { authorization: `Bearer ${canaries.header.repeat(4)}` } },
      { method: 'GET', path: `/v1/sync?token=${Buffer.from(canaries.text).toString('base64url')}` },
    ])
      keep(await ask(url, { token, ...question }))
    const raw = await speakRaw(
      url,
      `${canaries.path.toUpperCase()} /${canaries.path} HTTP/1.1\r\nhost: ${canaries.header}\r\n\r\n`,
    )
    expect(raw.text).toContain('platform/malformed')
    expect(raw.text.match(isCanary)).toBeNull()
  }

  test('what people say, are called and sign in with comes back in no refusal, no header and no line of the log', async () => {
    const token = await live()
    expect(refusals.length).toBeGreaterThan(20)
    expect(new Set(refusals.map(codeOf)).size).toBeGreaterThan(8)
    expect(leaks(refusals.map(({ text }) => text))).toEqual([])
    expect(leaks(answers.map(({ headers }) => JSON.stringify(headers)))).toEqual([])
    expect(lines.length).toBeGreaterThan(30)
    expect(leaks(lines)).toEqual([])
    // They were said: whoever may read them does, and whoever looks for them finds them.
    const users = await call('listUsers', { limit: 200 }, clinic.alice.accessToken)
    expect(leaks([users.text])).toContain(canaries.name)
    expect((await call('listDevices', {}, token)).text).toContain(canaries.device)
    expect(leaks(secrets)).toHaveLength(secrets.length)
  })

  test('nor when the server makes a mistake', async () => {
    await using owner = await openOwner(server)
    const { alice, ada } = clinic
    const mark = lines.length
    const socket = await openTestSocket(server.url, alice.accessToken)
    await owner.query('alter table sotto.app_user rename column display_name_encrypted to elsewhere')
    await owner.query('alter table sotto.entry rename column body_ciphertext to elsewhere')
    const { ids } = server.composition
    const { items } = (await call('listConversations', {}, alice.accessToken)).body as {
      items?: { conversationId: ConversationId }[]
    }
    const conversationId = items?.[0]?.conversationId ?? ids.next<ConversationId>()
    const broken = [
      await call(
        'createUser',
        { userId: ids.next(), login: `${canaries.login}3`, displayName: canaries.name, role: 'clinician' },
        ada.accessToken,
      ),
      await call('listUsers', {}, alice.accessToken),
      await call('createSession', {
        tenant: clinic.slug,
        login: canaries.login,
        password: canaries.password,
        device: { name: canaries.device },
      }),
    ]
    for (const answer of broken) {
      expect([codeOf(answer), answer.status]).toEqual(['platform/internal', 500])
      const { title, detail } = answer.body as { title: string; detail?: string }
      expect([title, detail]).toEqual([problemCatalogue['platform/internal'].title, undefined])
    }
    const sent = socket.command('message.send', {
      conversationId,
      entryId: ids.next<EntryId>(),
      payload: { v: 1, type: 'text', text: canaries.text },
    })
    await expect(sent).rejects.toThrow(/platform|access/)
    socket.close()
    const told = lines.slice(mark).filter((line) => line.includes('request.failed'))
    expect(told.length).toBeGreaterThanOrEqual(3)
    for (const { text } of broken) expect(told.join('')).toContain((JSON.parse(text) as { instance: string }).instance)
    expect(leaks([...lines.slice(mark), ...broken.map(({ text, headers }) => text + JSON.stringify(headers))])).toEqual(
      [],
    )
  })

  test('a line of the log is one line, whatever was asked', () => {
    for (const line of lines) expect(() => JSON.parse(line)).not.toThrow()
    const fields = new Set(lines.flatMap((line) => Object.keys(JSON.parse(line) as object)))
    for (const field of ['url', 'path', 'headers', 'body', 'query', 'err', 'message', 'msg', 'login', 'address'])
      expect(fields).not.toContain(field)
  })

  function leaks(texts: readonly string[]): readonly string[] {
    return texts.flatMap((text) => [
      ...(text.match(isCanary) ?? []),
      ...secrets.filter((secret) => text.includes(secret) || text.includes(secret.split('.').at(-1)!)),
    ])
  }
})
