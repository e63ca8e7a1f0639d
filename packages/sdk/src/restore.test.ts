import { expect, test } from 'vitest'
import type { EntryId, UserId } from '@sotto/protocol'
import { alice, bob, device, place } from '../test-support/people.testing.ts'
import { startPeerServer, type PeerServer } from '../test-support/peer-server.testing.ts'
import { texts, until } from '../test-support/until.testing.ts'
import { connect, memoryStorage, type Conversation, type Sotto } from './index.ts'

// A server that was brought back from a backup as another deployment, before pages that stayed open.

const ward = place(1)

async function startServer(): Promise<PeerServer> {
  const server = await startPeerServer()
  server.peer.createConversation(ward, [alice, bob])
  return server
}

const signedIn = (server: PeerServer, userId: UserId): Sotto =>
  connect({ url: server.url, getToken: async () => userId, userId, storage: memoryStorage() })

async function say(conversation: Conversation, ...words: readonly string[]): Promise<void> {
  for (const word of words) await (await conversation.send(word)).acknowledged
}

test('an open page shows the log as it is now, and nothing of what was lost', async () => {
  await using server = await startServer()
  await using ofBob = signedIn(server, bob)
  await using ofAlice = signedIn(server, alice)
  await Promise.all([ofAlice.ready, ofBob.ready])
  const [at, bt] = [ofAlice.conversation(ward), ofBob.conversation(ward)]
  const stop = bt.subscribe(() => {})
  await say(at, 'one', 'two', 'three', 'four')
  const bringBack = server.peer.backUp()
  await say(at, 'lost 1', 'lost 2', 'lost 3', 'lost 4', 'lost 5')
  await until(bt, (snapshot) => texts(snapshot).length === 9)
  bt.markRead()
  await until(bt, ({ unread }) => unread === 0)

  await ofAlice.close()
  bringBack()
  // Others have written since, in places that the page holds other words for.
  for (const word of ['new 1', 'new 2']) {
    const entryId = `0197a000-0000-7000-8000-00000000000${word.at(-1)}` as EntryId
    server.peer.send(alice, device(7), ward, { entryId, payload: { v: 1, type: 'text', text: word } })
  }
  server.closeSockets(1001)
  const words = ['one', 'two', 'three', 'four', 'new 1', 'new 2']
  const shown = await until(bt, (snapshot) => texts(snapshot).length === words.length)
  expect(texts(shown)).toEqual(words)
  expect(shown).toMatchObject({ unread: 6, readSeq: 0, summary: { lastSeq: 7 } })
  await say(bt, 'and mine')
  expect(texts(await until(bt, (snapshot) => texts(snapshot).length === 7))).toEqual([...words, 'and mine'])
  stop()
})

test('what the server has lost is given back to its author, to be sent again or discarded', async () => {
  await using server = await startServer()
  await using sotto = signedIn(server, alice)
  await sotto.ready
  const conversation = sotto.conversation(ward)
  const stop = conversation.subscribe(() => {})
  await say(conversation, 'kept')
  const bringBack = server.peer.backUp()
  await say(conversation, 'lost, and sent again', 'lost, and discarded')
  await until(conversation, (snapshot) => texts(snapshot).length === 3)
  bringBack()
  server.closeSockets(1001)

  await until(sotto.outbox, ({ failed }) => failed === 2)
  const { items } = await until(conversation, ({ catchingUp }) => !catchingUp)
  const pending = items.flatMap((item) => (item.type === 'pending' ? [item] : []))
  expect(pending.map(({ state, problem }) => [state, problem?.code])).toEqual([
    ['failed', 'sdk/not-kept'],
    ['failed', 'sdk/not-kept'],
  ])
  conversation.retry(pending[0]!.key)
  await conversation.discard(pending[1]!.key)
  await until(sotto.outbox, ({ waiting, failed }) => waiting + failed === 0)
  const isWhole = (rest: readonly { readonly type: string }[]): boolean =>
    rest.length === 3 && rest.every(({ type }) => type === 'entry')
  const rest = await until(conversation, (snapshot) => isWhole(snapshot.items))
  expect(texts(rest)).toEqual(['kept', 'lost, and sent again'])
  expect(server.peer.log(ward).map(({ entryId }) => entryId)).toContain(pending[0]!.key)
  stop()
})

test('what was lost is there after a restart of the app, too', async () => {
  await using server = await startServer()
  const storage = { ...memoryStorage(), protectsAtRest: false }
  const open = (): Sotto => connect({ url: server.url, getToken: async () => alice, userId: alice, storage })
  const first = open()
  await first.ready
  const bringBack = server.peer.backUp()
  await say(first.conversation(ward), 'lost')
  await until(first.conversation(ward), ({ items }) => items.some(({ type }) => type === 'entry'))
  bringBack()
  server.closeSockets(1001)
  await until(first.outbox, ({ failed }) => failed === 1)
  await first.close()

  await using second = open()
  await second.ready
  const [item] = second.outbox.getSnapshot().items
  expect(item).toMatchObject({ state: 'failed', conversationId: ward })
  second.conversation(ward).retry(item!.entryId)
  await until(second.outbox, ({ waiting, failed }) => waiting + failed === 0)
  expect(server.peer.log(ward)).toHaveLength(2)
})

test('a token that is only too old gives nothing back, and asks for no more than what may be missing', async () => {
  await using server = await startServer()
  await using sotto = signedIn(server, alice)
  await sotto.ready
  const conversation = sotto.conversation(ward)
  await say(conversation, 'one', 'two')
  await until(conversation, ({ items }) => items.every(({ type }) => type === 'entry') && items.length === 3)
  server.peer.expireTokens()
  server.seen.length = 0
  server.closeSockets(1001)
  await until(conversation, ({ items }) => items.length === 1)
  // The last entry is the one that was held: everything before it is the same.
  expect(server.seen).not.toContain('listEntries')

  const stop = conversation.subscribe(() => {})
  await until(conversation, (snapshot) => texts(snapshot).length === 2)
  server.peer.expireTokens()
  server.peer.send(bob, device(3), ward, {
    entryId: '0197a000-0000-7000-8000-000000000009' as EntryId,
    payload: { v: 1, type: 'text', text: 'three' },
  })
  server.closeSockets(1001)
  expect(texts(await until(conversation, (snapshot) => texts(snapshot).length === 3))).toEqual(['one', 'two', 'three'])
  expect(sotto.outbox.getSnapshot().items).toEqual([])
  stop()
})
