import { expect, test } from 'vitest'
import { alice, bob, place } from '../test-support/people.testing.ts'
import { problem } from '../test-support/peer.testing.ts'
import { startPeerServer, type PeerServer } from '../test-support/peer-server.testing.ts'
import { until } from '../test-support/until.testing.ts'
import { connect, memoryStorage, type Sotto, type Storage, type Store } from './index.ts'

// Two tabs are two connections over one shared store: Node has Web Locks and BroadcastChannel as browsers do.

const ward = place(1)

async function startServer(): Promise<PeerServer> {
  const server = await startPeerServer()
  server.peer.createConversation(ward, [alice, bob])
  return server
}

/** One store for all tabs, whose answer to a look at everything can be held back. */
function sharedStorage(): Storage & { holdNextList(): Promise<() => void> } {
  const memory = memoryStorage()
  let hold: ((release: () => void) => void) | undefined
  async function list(store: Store, prefix: string): ReturnType<Store['list']> {
    const found = await store.list(prefix)
    const held = hold
    hold = undefined
    if (held !== undefined) await new Promise<void>((release) => held(release))
    return found
  }
  return {
    shared: true,
    protectsAtRest: false,
    holdNextList: () => new Promise((resolve) => (hold = resolve)),
    async open(namespace) {
      const store = await memory.open(namespace)
      return { ...store, list: (prefix) => list(store, prefix) }
    },
  }
}

async function openTab(server: PeerServer, storage: Storage): Promise<Sotto> {
  const tab = connect({ url: server.url, getToken: async () => alice, userId: alice, storage })
  await tab.ready
  return tab
}

const sentTexts = ({ peer }: PeerServer): readonly string[] =>
  peer.log(ward).flatMap(({ payload }) => (payload.type === 'text' ? [payload.text] : []))

test('a message that is written while the next tab takes over is sent, also behind others that wait', async () => {
  await using server = await startServer()
  const storage = sharedStorage()
  const first = await openTab(server, storage)
  await using second = await openTab(server, storage)
  const later = problem('platform/rate-limited', 429, { retryAfterMs: 600_000 })
  server.refuseNext('message.send', later)
  await first.conversation(ward).send('one')
  await until(second.outbox, ({ waiting }) => waiting === 1)

  const held = storage.holdNextList()
  await first.close()
  const release = await held
  // The look at the disk has been taken, and its answer is on the way.
  const { acknowledged } = await second.conversation(ward).send('two')
  release()
  await acknowledged
  expect(sentTexts(server)).toEqual(['one', 'two'])
})

test('what one tab is sending, another cannot take back: it may be delivered', async () => {
  await using server = await startServer()
  const storage = sharedStorage()
  await using first = await openTab(server, storage)
  await using second = await openTab(server, storage)
  server.swallowNext('message.send')
  const { entryId } = await first.conversation(ward).send('Under way')
  await until(second.outbox, ({ items }) => items.some((item) => item.entryId === entryId))
  expect(second.outbox.getSnapshot().items).toMatchObject([{ state: 'waiting' }])

  const refused = second.conversation(ward).discard(entryId)
  await expect(refused).rejects.toMatchObject({ code: 'sdk/maybe-sent', retry: 'never' })
  server.closeSockets(1001)
  await until(second.outbox, ({ waiting }) => waiting === 0)
  expect(sentTexts(server)).toEqual(['Under way'])
})

test('what was never sent is taken back by any tab, and its writer hears of it', async () => {
  await using server = await startServer()
  const storage = sharedStorage()
  await using first = await openTab(server, storage)
  await using second = await openTab(server, storage)
  server.refuseNext('message.send', problem('platform/rate-limited', 429, { retryAfterMs: 600_000 }))
  const { entryId, acknowledged } = await first.conversation(ward).send('Never mind')
  await until(first.outbox, ({ items }) => items[0]?.state === 'waiting')
  await until(second.outbox, ({ waiting }) => waiting === 1)
  await second.conversation(ward).discard(entryId)
  await expect(acknowledged).rejects.toMatchObject({ code: 'sdk/discarded' })
  for (const tab of [first, second]) expect(tab.outbox.getSnapshot().items).toEqual([])
  await (
    await second.conversation(ward).send('This instead')
  ).acknowledged
  expect(sentTexts(server)).toEqual(['This instead'])
})

test('after a cut nobody knows whether a message was taken: it is not taken back, only given up when the user says so', async () => {
  await using server = await startServer()
  await using sotto = connect({ url: server.url, getToken: async () => alice, userId: alice })
  await sotto.ready
  const conversation = sotto.conversation(ward)
  server.swallowNext('message.send')
  const { entryId, acknowledged } = await conversation.send('Taken, but who knows')
  await until(sotto.outbox, ({ items }) => items[0]?.state === 'sending')
  server.socketsAllowed = false
  server.closeSockets(1001)
  await until(sotto.outbox, ({ items }) => items[0]?.state === 'waiting')
  await expect(conversation.discard(entryId)).rejects.toMatchObject({ code: 'sdk/maybe-sent' })
  expect(sotto.outbox.getSnapshot().waiting).toBe(1)
  await conversation.discard(entryId, { anyway: true })
  await expect(acknowledged).rejects.toMatchObject({ code: 'sdk/maybe-sent' })
  expect(sotto.outbox.getSnapshot().items).toEqual([])
  expect(sentTexts(server)).toEqual(['Taken, but who knows'])
})
