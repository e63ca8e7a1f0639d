import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  databaseKinds,
  startTestServer,
  TEST_PASSWORD,
  type Clinic,
  type Person,
  type TestServer,
} from '@sotto/testkit'
import {
  connect,
  resumeSession,
  signIn,
  type Conversation,
  type ConversationSnapshot,
  type Credentials,
  type Session,
  type Sotto,
} from './src/index.ts'
import { texts, until } from './test-support/until.testing.ts'

describe.each(databaseKinds)('against a server on %s', (kind) => {
  let server: TestServer
  let clinic: Clinic
  beforeAll(async () => {
    server = await startTestServer(kind)
    clinic = await server.createClinic()
  }, 120_000)
  afterAll(async () => await server[Symbol.asyncDispose]())

  const enter = (person: Person, more: object = {}): Promise<Session> =>
    signIn({
      url: server.url,
      tenant: clinic.slug,
      login: person.login,
      password: TEST_PASSWORD,
      deviceName: 'Test device',
      refreshTokenIn: 'body',
      ...more,
    })
  const online = async (person: Person): Promise<Sotto> => {
    const sotto = connect(await enter(person))
    await sotto.ready
    return sotto
  }
  const meet = async (sotto: Sotto, ...others: readonly Person[]): Promise<Conversation> =>
    await sotto.conversations.create({ kind: 'group', title: 'Ward 3', memberIds: others.map(({ userId }) => userId) })

  test('Alice and Bob talk, and see what was delivered and read, who types and who is there', async () => {
    await using ofAlice = await online(clinic.alice)
    await using ofBob = await online(clinic.bob)
    const at = await meet(ofAlice, clinic.bob)
    await until(ofBob.conversations, ({ items }) =>
      items.some(({ conversationId }) => conversationId === at.conversationId),
    )
    const bt = ofBob.conversation(at.conversationId)
    const stop = [at.subscribe(() => {}), bt.subscribe(() => {})]

    const { acknowledged } = await at.send('Good morning, Bob')
    const { seq } = await acknowledged
    const received = await until(bt, (snapshot) => texts(snapshot).includes('Good morning, Bob'))
    expect(received.unread).toBe(1)
    await until(at, () => at.receipts(seq).deliveredTo.includes(clinic.bob.userId))
    bt.markRead()
    await until(at, () => at.receipts(seq).readBy.includes(clinic.bob.userId))
    await until(bt, ({ unread }) => unread === 0)

    bt.setTyping(true)
    await until(at, ({ typing }) => typing.includes(clinic.bob.userId))
    bt.setTyping(false)
    await until(at, ({ typing }) => typing.length === 0)

    const unwatch = ofAlice.presence.watch([clinic.bob.userId])
    await until(ofAlice.presence, (presence) => presence.get(clinic.bob.userId) === 'online')
    ofBob.presence.set('away')
    await until(ofAlice.presence, (presence) => presence.get(clinic.bob.userId) === 'away')
    unwatch()
    expect((await at.members()).map(({ userId }) => userId).toSorted()).toEqual(
      [clinic.alice.userId, clinic.bob.userId].toSorted(),
    )
    stop.forEach((unsubscribe) => unsubscribe())
  })

  test('two devices of one user agree on what is unread', async () => {
    await using ofAlice = await online(clinic.alice)
    await using first = await online(clinic.bob)
    await using second = await online(clinic.bob)
    const at = await meet(ofAlice, clinic.bob)
    for (const word of ['one', 'two', 'three']) await (await at.send(word)).acknowledged
    const [one, two] = [first, second].map((sotto) => sotto.conversation(at.conversationId)) as [
      Conversation,
      Conversation,
    ]
    // A number may come before the messages that it counts, and nobody has read what she does not have.
    const all = ({ unread, items }: ConversationSnapshot): boolean => unread === 3 && texts({ items }).length === 3
    await Promise.all([one, two].map((conversation) => until(conversation, all)))
    one.markRead()
    await until(two, ({ unread }) => unread === 0)
  })

  test('what was missed while away is there afterwards, once and in order', async () => {
    await using ofAlice = await online(clinic.alice)
    const away = await online(clinic.bob)
    const at = await meet(ofAlice, clinic.bob)
    await until(away.conversations, ({ items }) =>
      items.some(({ conversationId }) => conversationId === at.conversationId),
    )
    await away.close()
    const words = Array.from({ length: 70 }, (_, index) => `word ${index}`)
    const queued = []
    for (const word of words) queued.push(await at.send(word))
    await Promise.all(queued.map(({ acknowledged }) => acknowledged))
    await using back = await online(clinic.bob)
    const bt = back.conversation(at.conversationId)
    const unsubscribe = bt.subscribe(() => {})
    await until(bt, ({ items, loadingOlder }) => items.length >= 50 && !loadingOlder)
    while (bt.getSnapshot().hasOlder) {
      bt.loadOlder()
      await until(bt, ({ loadingOlder }) => !loadingOlder)
    }
    expect(texts(bt.getSnapshot())).toEqual(words)
    expect(bt.getSnapshot().unread).toBe(words.length)
    unsubscribe()
  })

  test('who is removed is told within a second, and may send no more', async () => {
    await using ofAlice = await online(clinic.alice)
    await using ofBob = await online(clinic.bob)
    const at = await meet(ofAlice, clinic.bob, clinic.grace)
    const bt = ofBob.conversation(at.conversationId)
    await until(bt, ({ status }) => status === 'ready')
    const removed = until(bt, ({ status }) => status === 'removed' || status === 'unknown', 1_000)
    await ofAlice.api.removeMember({ conversationId: at.conversationId, userId: clinic.bob.userId })
    await removed
    const { acknowledged } = await bt.send('May I?')
    await expect(acknowledged).rejects.toMatchObject({ code: 'access/not-found', retry: 'never' })
    expect(ofBob.outbox.getSnapshot().failed).toBe(1)
  })

  test('a session is resumed by the refresh token that was kept, and ends for good by signing out', async () => {
    let kept: Credentials | undefined
    const keep = (credentials: Credentials): void => void (kept = credentials)
    const first = await enter(clinic.grace, { keep })
    first.close()
    const resumed = await resumeSession({
      url: server.url,
      refreshToken: kept!.refreshToken,
      refreshTokenIn: 'body',
      keep,
    })
    expect(resumed.userId).toBe(clinic.grace.userId)
    expect(resumed.deviceId).toBe(first.deviceId)
    const sotto = connect(resumed)
    await sotto.ready
    await sotto.signOut()
    const again = resumeSession({ url: server.url, refreshToken: kept!.refreshToken, refreshTokenIn: 'body' })
    await expect(again).rejects.toMatchObject({ retry: 'after-reauth' })
  })

  test('a session that is ended elsewhere ends the connection here', async () => {
    await using sotto = await online(clinic.carmen)
    const session = await enter(clinic.carmen)
    const other = connect(session)
    await other.ready
    const ended = until(other.connection, ({ status }) => status === 'ended')
    await sotto.api.endSession({ sessionId: session.sessionId })
    expect(await ended).toMatchObject({ status: 'ended', reason: 'session' })
    expect(session.ended?.retry).toBe('after-reauth')
    await other.close()
  })

  test('a wrong password is a problem that says what to do', async () => {
    const wrong = enter(clinic.alice, { password: 'not this one at all' })
    await expect(wrong).rejects.toMatchObject({ code: 'identity/sign-in-failed', status: 401, retry: 'never' })
  })

  test('every operation of the table reaches the server under its own path', async () => {
    await using sotto = await online(clinic.ada)
    const { items } = await sotto.api.listUsers({ limit: 3, role: 'clinician' })
    expect(items).toHaveLength(3)
    expect((await sotto.api.getUser({ userId: items[0]!.userId })).userId).toBe(items[0]!.userId)
    expect(await sotto.api.listPresence({ userIds: [clinic.ada.userId, clinic.bob.userId] })).toHaveProperty('items')
    expect((await sotto.api.getLimits()).messageBytesMax.value).toBe(65_536)
    await expect(sotto.api.listUsers({ limit: 0 })).rejects.toMatchObject({
      code: 'platform/invalid-input',
      status: 400,
    })
  })
})
