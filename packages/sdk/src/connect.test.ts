import { expect, test } from 'vitest'
import type { UserId } from '@sotto/protocol'
import { alice, bob, place } from '../test-support/people.testing.ts'
import { problem } from '../test-support/peer.testing.ts'
import { startPeerServer, type PeerServer } from '../test-support/peer-server.testing.ts'
import { texts, until } from '../test-support/until.testing.ts'
import {
  connect,
  memoryStorage,
  SottoProblem,
  systemClock,
  type ConnectOptions,
  type Sotto,
  type Storage,
} from './index.ts'

const ward = place(1)

async function startServer(): Promise<PeerServer> {
  const server = await startPeerServer()
  server.peer.createConversation(ward, [alice, bob])
  return server
}

function signedIn(server: PeerServer, userId: UserId, more: Partial<ConnectOptions> = {}): Sotto {
  return connect({ url: server.url, getToken: async () => server.tokenOf(userId), userId, ...more })
}

test('a message from Alice arrives at Bob, and both see how far it came', async () => {
  await using server = await startServer()
  await using sottoOfAlice = signedIn(server, alice)
  await using sottoOfBob = signedIn(server, bob)
  await Promise.all([sottoOfAlice.ready, sottoOfBob.ready])
  const [at, bt] = [sottoOfAlice.conversation(ward), sottoOfBob.conversation(ward)]
  const received = until(bt, (snapshot) => texts(snapshot).includes('Good morning'))
  const { acknowledged } = await at.send('Good morning')
  expect((await acknowledged).seq).toBe(2)
  expect((await received).unread).toBe(1)

  const unsubscribe = at.subscribe(() => {})
  const isDelivery = (delivery: string) => () =>
    at.getSnapshot().items.some((i) => i.type === 'entry' && i.delivery === delivery)
  await until(at, isDelivery('delivered'))
  bt.markRead()
  expect(bt.getSnapshot().unread).toBe(0)
  await until(at, isDelivery('read'))
  expect(at.receipts(2)).toEqual({ deliveredTo: [bob], readBy: [bob] })
  unsubscribe()
})

test('the user is found out by the token where the app does not say who it is', async () => {
  await using server = await startServer()
  await using sotto = connect({ url: server.url, getToken: async () => server.tokenOf(bob) })
  await sotto.ready
  expect(sotto.userId).toBe(bob)
})

test('a typing signal is shown, throttled, and gone with the message', async () => {
  await using server = await startServer()
  await using sottoOfAlice = signedIn(server, alice)
  await using sottoOfBob = signedIn(server, bob)
  await Promise.all([sottoOfAlice.ready, sottoOfBob.ready])
  const [at, bt] = [sottoOfAlice.conversation(ward), sottoOfBob.conversation(ward)]
  for (let press = 0; press < 20; press += 1) at.setTyping(true)
  await until(bt, ({ typing }) => typing.includes(alice))
  expect(server.seen.filter((name) => name === 'typing.signal')).toHaveLength(1)
  await at.send('Here I am')
  await until(bt, ({ typing }) => typing.length === 0)
})

test('a message that was taken although its answer got lost is there once', async () => {
  await using server = await startServer()
  await using sotto = signedIn(server, alice)
  await sotto.ready
  server.swallowNext('message.send')
  const conversation = sotto.conversation(ward)
  const { acknowledged, entryId } = await conversation.send('Only once')
  const sent = await acknowledged
  expect(sent).toMatchObject({ entryId, seq: 2 })
  expect(server.peer.log(ward)).toHaveLength(2)
  expect(conversation.getSnapshot().items.filter(({ key }) => key === entryId)).toHaveLength(1)
})

test('a cut in mid-sentence loses nothing, and what waits is sent in order', async () => {
  await using server = await startServer()
  await using sottoOfAlice = signedIn(server, alice)
  await using sottoOfBob = signedIn(server, bob)
  await Promise.all([sottoOfAlice.ready, sottoOfBob.ready])
  const conversation = sottoOfAlice.conversation(ward)
  const bt = sottoOfBob.conversation(ward)
  const words = Array.from({ length: 20 }, (_, index) => `word ${index}`)
  const queued = []
  for (const [index, word] of words.entries()) {
    queued.push(await conversation.send(word))
    if (index % 6 === 5) server.closeSockets(1001)
  }
  await Promise.all(queued.map(({ acknowledged }) => acknowledged))
  expect(texts(await until(bt, (snapshot) => texts(snapshot).length === words.length))).toEqual(words)
})

test('a refused message stays visible with its reason, and is retried or discarded', async () => {
  await using server = await startServer()
  await using sotto = signedIn(server, alice)
  await sotto.ready
  const conversation = sotto.conversation(ward)
  server.refuseNext('message.send', problem('conversations/closed', 409), { times: 2 })
  const first = await conversation.send('To be retried')
  await expect(first.acknowledged).rejects.toMatchObject({ code: 'conversations/closed', retry: 'never' })
  expect(conversation.getSnapshot().items.at(-1)).toMatchObject({ state: 'failed', problem: { status: 409 } })
  conversation.retry(first.entryId)
  await until(sotto.outbox, ({ failed }) => failed === 1)
  await until(sotto.outbox, ({ items }) => items[0]?.state === 'failed')
  conversation.retry(first.entryId)
  await until(sotto.outbox, ({ waiting, failed }) => waiting + failed === 0)

  server.refuseNext('message.send', problem('conversations/closed', 409))
  const second = await conversation.send('To be discarded')
  await until(sotto.outbox, ({ failed }) => failed === 1)
  await conversation.discard(second.entryId)
  expect(sotto.outbox.getSnapshot()).toMatchObject({ waiting: 0, failed: 0 })
  expect(server.peer.log(ward).map(({ entryId }) => entryId)).toContain(first.entryId)
  expect(server.peer.log(ward).map(({ entryId }) => entryId)).not.toContain(second.entryId)
})

test('a server that cannot record now gets the message when it said it could', async () => {
  await using server = await startServer()
  await using sotto = signedIn(server, alice)
  await sotto.ready
  server.refuseNext('message.send', problem('platform/unavailable', 503, { retryAfterMs: 150 }), { times: 2 })
  const startedAt = performance.now()
  const { acknowledged } = await sotto.conversation(ward).send('Patience')
  await acknowledged
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(300)
})

test('where no socket can be opened, messages go by HTTP', async () => {
  await using server = await startServer()
  server.socketsAllowed = false
  await using sotto = signedIn(server, alice)
  const { acknowledged } = await sotto.conversation(ward).send('By post')
  expect((await acknowledged).seq).toBe(2)
  expect(server.seen).toContain('sendMessage')
  server.socketsAllowed = true
  await sotto.ready
  expect(texts(sotto.conversation(ward).getSnapshot())).toEqual(['By post'])
})

test('a token that was refused is asked for anew, once, and then the session is over', async () => {
  await using server = await startServer()
  server.refusedTokens.add('old')
  const asked: (string | undefined)[] = []
  const getToken = async (refused?: string): Promise<string> => {
    asked.push(refused)
    return refused === undefined ? 'old' : server.tokenOf(alice)
  }
  await using sotto = signedIn(server, alice, { getToken })
  await sotto.ready
  expect(asked.slice(0, 2)).toEqual([undefined, 'old'])

  server.refusedTokens.add(server.tokenOf(alice))
  server.closeSockets(4401)
  const ended = await until(sotto.connection, ({ status }) => status === 'ended')
  expect(ended).toMatchObject({ reason: 'session', problem: { code: 'identity/token-expired' } })
  server.refusedTokens.clear()
  sotto.reconnect()
  await until(sotto.connection, ({ status }) => status === 'online')
})

test("another user's token never sees what is stored here", async () => {
  await using server = await startServer()
  await using sotto = signedIn(server, alice, { getToken: async () => server.tokenOf(bob) })
  expect(await until(sotto.connection, ({ status }) => status === 'ended')).toMatchObject({ reason: 'other-user' })
})

test('a forgotten sync token costs one full sync', async () => {
  await using server = await startServer()
  await using sotto = signedIn(server, alice)
  await sotto.ready
  server.peer.expireTokens()
  server.peer.createConversation(place(2), [alice, bob])
  await until(sotto.conversations, ({ items }) => items.length === 2)
})

test('older entries are loaded page by page, without a gap', async () => {
  await using server = await startServer()
  const write = signedIn(server, bob)
  await write.ready
  for (let index = 0; index < 130; index += 1) {
    server.peer.send(bob, '' as never, ward, {
      entryId: String(index) as never,
      payload: { v: 1, type: 'text', text: `${index}` },
    })
  }
  await write.close()
  await using sotto = signedIn(server, alice)
  await sotto.ready
  const conversation = sotto.conversation(ward)
  const unsubscribe = conversation.subscribe(() => {})
  for (let page = 0; conversation.getSnapshot().hasOlder; page += 1) {
    conversation.loadOlder()
    await until(conversation, ({ loadingOlder }) => !loadingOlder)
    expect(page).toBeLessThan(10)
  }
  expect(texts(conversation.getSnapshot())).toEqual(Array.from({ length: 130 }, (_, index) => String(index)))
  expect(conversation.getSnapshot().items).toHaveLength(131)
  unsubscribe()
})

test('who was removed is told so, and keeps nothing of the conversation', async () => {
  await using server = await startServer()
  await using sotto = signedIn(server, bob)
  await sotto.ready
  const conversation = sotto.conversation(ward)
  const removed = until(conversation, ({ status }) => status === 'removed')
  server.peer.removeMember(ward, bob)
  expect(await removed).toMatchObject({ items: [], can: [], unread: 0 })
  expect(sotto.conversations.getSnapshot().items).toEqual([])
})

test('what is too large or not well-formed is refused before it is stored', async () => {
  await using server = await startServer()
  await using sotto = signedIn(server, alice)
  const conversation = sotto.conversation(ward)
  await expect(conversation.send('x'.repeat(70_000))).rejects.toMatchObject({ code: 'messages/too-large', status: 413 })
  await expect(conversation.send('\ud800')).rejects.toBeInstanceOf(SottoProblem)
  await expect(conversation.send('')).rejects.toMatchObject({ code: 'platform/invalid-input' })
  expect(sotto.outbox.getSnapshot().items).toEqual([])
})

test('a sync token is remembered with the list it stands for, and only what changed is asked for', async () => {
  await using server = await startServer()
  const storage = memoryStorage()
  const first = signedIn(server, alice, { storage })
  await first.ready
  await first.close()
  server.frames.length = 0
  await using second = signedIn(server, alice, { storage })
  await second.ready
  expect(server.frames.find(({ op }) => op === 'conversation.sync')).toHaveProperty('token')
  expect(second.conversations.getSnapshot().items).toHaveLength(1)
})

test('signing out clears the device', async () => {
  await using server = await startServer()
  const storage = memoryStorage()
  const sotto = signedIn(server, alice, { storage })
  await sotto.ready
  server.refuseNext('message.send', problem('conversations/closed', 409))
  await sotto.conversation(ward).send('Left behind')
  await sotto.signOut()
  expect(server.seen).toContain('endSession')
  const store = await storage.open(`${server.url} ${alice}`)
  expect(await store.list('')).toEqual([])
})

test('that the session ends soon is told with the time by this device’s own clock, however wrong that is', async () => {
  await using server = await startServer()
  const clock = { ...systemClock, now: () => 1_000_000 }
  await using sotto = signedIn(server, alice, { clock })
  await sotto.ready
  const minutes = { at: '2026-01-01T00:00:00.000Z', endsAt: '2026-01-01T00:02:00.000Z' }
  server.emit({ op: 'session', state: 'expiring', reason: 'absolute', ...minutes })
  const told = await until(sotto.connection, (now) => now.status === 'online' && now.expiring !== null)
  const { expiring } = told as Extract<typeof told, { status: 'online' }>
  expect(expiring?.reason).toBe('absolute')
  expect(Math.abs(expiring!.endsAt - 1_120_000)).toBeLessThan(5_000)
  server.emit({ op: 'session', state: 'active' })
  await until(sotto.connection, (now) => now.status === 'online' && now.expiring === null)
})

test('who is signed in again after a failed start is connected by the same object', async () => {
  await using server = await startServer()
  const over = new SottoProblem(problem('identity/session-ended', 401))
  let token = ''
  const getToken = async (): Promise<string> => token || (await Promise.reject(over))
  await using sotto = connect({ url: server.url, getToken })
  expect(await until(sotto.connection, ({ status }) => status === 'ended')).toMatchObject({ reason: 'session' })
  // It is not known whose message it is.
  await expect(sotto.conversation(ward).send('Into nothing')).rejects.toMatchObject({ code: 'identity/session-ended' })

  token = server.tokenOf(alice)
  sotto.reconnect()
  await until(sotto.connection, ({ status }) => status === 'online')
  expect(sotto.userId).toBe(alice)
  expect((await (await sotto.conversation(ward).send('Here I am')).acknowledged).seq).toBe(2)
})

test('a store that failed once is opened by the next attempt', async () => {
  await using server = await startServer()
  const memory = memoryStorage()
  let failures = 1
  let open = 0
  const storage: Storage = {
    ...memory,
    async open(namespace) {
      const store = await memory.open(namespace)
      open += 1
      const list = async (prefix: string) =>
        failures-- > 0 ? await Promise.reject(new Error('busy')) : await store.list(prefix)
      return { ...store, list, close: async () => void (open -= 1) }
    },
  }
  await using sotto = signedIn(server, alice, { storage })
  const ended = await until(sotto.connection, ({ status }) => status === 'ended')
  expect(ended).toMatchObject({ reason: 'refused', problem: { code: 'sdk/storage-failed' } })
  expect(open).toBe(0)
  sotto.reconnect()
  await until(sotto.connection, ({ status }) => status === 'online')
  expect((await (await sotto.conversation(ward).send('Here I am')).acknowledged).seq).toBe(2)
})
