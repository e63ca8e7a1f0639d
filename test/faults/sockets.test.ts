/** @feature A2 A3 */
import {
  connect,
  signIn,
  type Conversation,
  type ConversationId,
  type EntryId,
  type Sotto,
  type SocketConstructor,
  type SocketLike,
} from '@sotto/sdk'
import {
  databaseKinds,
  loadLimits,
  startFaultyProxy,
  startTestServer,
  TEST_PASSWORD,
  type Clinic,
  type FaultyProxy,
  type Person,
  type TestServer,
  type TestServerOptions,
} from '@sotto/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { texts, until } from '../../packages/sdk/test-support/until.testing.ts'

const isLong = process.env['SOTTO_TEST_LONG'] === '1'
const FAULTS = isLong ? 40 : 6
const SHUFFLED = isLong ? 1_000 : 150
/** What the system's own buffers take before anything waits in the server is some megabytes. */
const BIG_MESSAGES_MAX = 1_000
const HEARTBEAT_MS = 1_000
const PATIENCE_MS = 120_000
const BIG = 'All is well. '.repeat(4_500)

describe.each(databaseKinds)('a bad network before a server on %s', (kind) => {
  let server: TestServer
  let clinic: Clinic
  let proxy: FaultyProxy

  beforeAll(() => start({ heartbeatMs: HEARTBEAT_MS }), 120_000)
  afterAll(stop, 60_000)

  async function start(limits: TestServerOptions['limits'] & object): Promise<void> {
    server = await startTestServer(kind, { env: loadLimits, limits })
    clinic = await server.createClinic()
    proxy = await startFaultyProxy(server.url)
  }

  async function stop(): Promise<void> {
    await proxy?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  }

  async function restart(limits: TestServerOptions['limits'] & object): Promise<void> {
    await stop()
    await start(limits)
  }

  async function online(person: Person, url: string, WebSocket?: SocketConstructor): Promise<Sotto> {
    const who = { tenant: clinic.slug, login: person.login, password: TEST_PASSWORD, deviceName: 'A device' }
    const session = await signIn({ ...who, url: server.url, refreshTokenIn: 'body' })
    const sotto = connect({ ...session, url, ...(WebSocket === undefined ? {} : { WebSocket }) })
    await sotto.ready
    return sotto
  }

  async function meet(ofAlice: Sotto, ofBob: Sotto): Promise<readonly [Conversation, Conversation]> {
    const { composition } = server
    const conversationId = composition.ids.next<ConversationId>()
    await composition.operations.createConversation(clinic.alice.ctx, {
      conversationId,
      kind: 'group',
      mode: 'managed',
      title: 'Ward 3',
      subjectUserId: null,
      history: 'full',
      memberIds: [clinic.bob.userId],
    })
    const both = [ofAlice.conversation(conversationId), ofBob.conversation(conversationId)] as const
    for (const one of both) one.subscribe(() => {})
    await Promise.all(both.map((one) => until(one, ({ status }) => status === 'ready', PATIENCE_MS)))
    return both
  }

  /** Everything, also what is before the page that a conversation begins with. */
  async function everything(conversation: Conversation): Promise<readonly string[]> {
    while (conversation.getSnapshot().hasOlder) {
      conversation.loadOlder()
      await until(conversation, ({ loadingOlder }) => !loadingOlder, PATIENCE_MS)
    }
    return texts(conversation.getSnapshot())
  }

  const socketsOf = ({ ctx }: Person) => [...server.composition.registry.ofUser(ctx.tenantId, ctx.userId)]

  async function untilSo(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    for (const deadline = Date.now() + PATIENCE_MS; !(await isSo());) {
      if (Date.now() > deadline) throw new Error(`It never came to be: ${what}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  async function closeCodes(person: Person): Promise<readonly unknown[]> {
    const { items } = await server.composition.operations.listAuditEvents(clinic.cora.ctx, {
      limit: 200,
      action: 'socket.close',
      actorUserId: person.userId,
    })
    return items.map((event) => event.details['code'])
  }

  test('a socket that is half open is noticed by both of its ends, and what was missed comes with the next one', async () => {
    await using ofAlice = await online(clinic.alice, server.url)
    await using ofBob = await online(clinic.bob, proxy.url)
    const [at, bt] = await meet(ofAlice, ofBob)
    proxy.setMode('halfOpen')
    const sent = [await at.send('Are you there?'), await bt.send('I am here.')] as const
    await sent[0].acknowledged
    await until(ofBob.connection, ({ status }) => status === 'reconnecting', PATIENCE_MS)
    await untilSo('the server has dropped the socket', () => socketsOf(clinic.bob).length === 0)
    proxy.leaveBehind()
    await until(ofBob.connection, ({ status }) => status === 'online', PATIENCE_MS)
    await sent[1].acknowledged
    const told = (conversation: Conversation) => until(conversation, (now) => texts(now).length === 2, PATIENCE_MS)
    expect(texts(await told(at))).toEqual(['Are you there?', 'I am here.'])
    expect(texts(await told(bt))).toEqual(['Are you there?', 'I am here.'])
    expect(await closeCodes(clinic.bob)).toContain(4408)
  })

  test(`a line that stalls and breaks ${FAULTS} times loses nothing and doubles nothing`, async ({ task }) => {
    await using ofAlice = await online(clinic.alice, server.url)
    await using ofBob = await online(clinic.bob, proxy.url)
    const [at, bt] = await meet(ofAlice, ofBob)
    const words: { readonly alice: string[]; readonly bob: string[] } = { alice: [], bob: [] }
    const acknowledged: Promise<unknown>[] = []
    const over = new AbortController()
    const talk = async (conversation: Conversation, name: 'alice' | 'bob') => {
      while (!over.signal.aborted) {
        const word = `${name} ${words[name].length + 1}`
        words[name].push(word)
        acknowledged.push((await conversation.send(word)).acknowledged)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    const talking = [talk(at, 'alice'), talk(bt, 'bob')]
    for (let fault = 0; fault < FAULTS; fault++) {
      await until(ofBob.connection, ({ status }) => status === 'online', PATIENCE_MS)
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 500))
      if (fault % 3 === 0) proxy.cut()
      else if (fault % 3 === 1) {
        proxy.setMode('stalled')
        await until(ofBob.connection, ({ status }) => status !== 'online', PATIENCE_MS)
        proxy.cut()
        proxy.setMode('open')
      } else {
        proxy.setDelayMs(100)
        proxy.setMode('stalled')
        await new Promise((resolve) => setTimeout(resolve, Math.random() * HEARTBEAT_MS))
        proxy.setMode('open')
        proxy.cut()
        proxy.setDelayMs(0)
      }
    }
    over.abort()
    await Promise.all(talking)
    await Promise.all(acknowledged)
    const all = words.alice.length + words.bob.length
    await untilSo('both have all', () => [at, bt].every((one) => lastSeqOf(one) === all + 1))
    const [onServer, first, second] = await Promise.all([textsOnServer(at), everything(at), everything(bt)])
    expect(first).toEqual(onServer)
    expect(second).toEqual(onServer)
    expect(onServer.filter((word) => word.startsWith('alice'))).toEqual(words.alice)
    expect(onServer.filter((word) => word.startsWith('bob'))).toEqual(words.bob)
    Object.assign(task.meta, { counts: { faults: FAULTS, messages: all, lost: 0, doubled: 0 } })
  })

  function lastSeqOf(conversation: Conversation): number | undefined {
    const last = conversation.getSnapshot().items.findLast((item) => 'entry' in item)
    return last !== undefined && 'entry' in last ? last.entry.seq : undefined
  }

  async function textsOnServer({ conversationId }: Conversation): Promise<readonly string[]> {
    const words: string[] = []
    for (let afterSeq = 0, more = true; more;) {
      const page = await server.composition.operations.listEntries(clinic.alice.ctx, {
        conversationId,
        afterSeq,
        limit: 200,
      })
      for (const { payload } of page.items) if (payload.type === 'text') words.push(payload.text)
      afterSeq = page.items.at(-1)?.seq ?? afterSeq
      more = page.items.length === 200
    }
    return words
  }

  test('a slow reader is cut with 4430 before the server keeps much for it, and catches up by itself', async ({
    task,
  }) => {
    // With the usual heartbeat: here it is not the silence that is noticed first.
    await restart({})
    const { composition } = server
    await using ofAlice = await online(clinic.alice, server.url)
    await using ofBob = await online(clinic.bob, proxy.url)
    const [at, bt] = await meet(ofAlice, ofBob)
    await (
      await at.send('Before')
    ).acknowledged
    await until(bt, (now) => texts(now).includes('Before'), PATIENCE_MS)
    proxy.setMode('stalled')
    let keptBytesMax = 0
    const watch = setInterval(() => (keptBytesMax = Math.max(keptBytesMax, ...keptBytes())), 1)
    const sendBig = () =>
      composition.operations.sendMessage(clinic.alice.ctx, {
        conversationId: at.conversationId,
        entryId: composition.ids.next<EntryId>(),
        payload: { v: 1, type: 'text', text: BIG },
        header: { priority: 'routine', notify: 'normal' },
      })
    let bigMessages = 0
    for (; socketsOf(clinic.bob).length > 0 && bigMessages < BIG_MESSAGES_MAX; bigMessages += 4)
      await Promise.all(Array.from({ length: 4 }, sendBig))
    await untilSo('the server has cut the slow socket', () => socketsOf(clinic.bob).length === 0)
    clearInterval(watch)
    // What a burst may have, and what one turn of the event loop had still to add to it.
    expect(keptBytesMax).toBeGreaterThan(composition.limits.socketQueueBytesMax / 2)
    expect(keptBytesMax).toBeLessThan(4 * composition.limits.socketQueueBytesMax + 8 * BIG.length)
    await untilSo('it is recorded', async () => (await closeCodes(clinic.bob)).includes(4430))
    proxy.setMode('open')
    await untilSo('bob has the last one', () => lastSeqOf(bt) === bigMessages + 2)
    expect(ofBob.connection.getSnapshot()).toMatchObject({ status: 'online' })
    Object.assign(task.meta, { counts: { bigMessages, keptBytesMax } })
  })

  /** What waits in the server for each of Bob's sockets. */
  const keptBytes = () => socketsOf(clinic.bob).map(({ outgoing }) => outgoing.waitingBytes)

  test(`${SHUFFLED} entries that come twice and out of order are shown once and in order`, async ({ task }) => {
    const counts = { frames: 0, doubled: 0, late: 0 }
    await using ofAlice = await online(clinic.alice, server.url)
    await using ofBob = await online(clinic.bob, server.url, shufflingWebSocket(counts))
    const [at, bt] = await meet(ofAlice, ofBob)
    const words = Array.from({ length: SHUFFLED }, (_, index) => `word ${index + 1}`)
    const queued = []
    for (const word of words) queued.push(await at.send(word))
    await Promise.all(queued.map(({ acknowledged }) => acknowledged))
    await until(bt, ({ unread }) => unread === SHUFFLED, PATIENCE_MS)
    await untilSo('all is there', () => lastSeqOf(bt) === SHUFFLED + 1)
    expect(await everything(bt)).toEqual(words)
    expect(bt.getSnapshot().unread).toBe(SHUFFLED)
    expect(counts.doubled).toBeGreaterThan(0)
    expect(counts.late).toBeGreaterThan(0)
    Object.assign(task.meta, { counts: { ...counts, entries: SHUFFLED } })
  })
})

/** A WebSocket whose entries and cursors come twice now and then, and some of them late. */
function shufflingWebSocket(counts: { frames: number; doubled: number; late: number }): SocketConstructor {
  return class {
    readonly #inner: SocketLike
    constructor(url: string, protocols: string[]) {
      this.#inner = new WebSocket(url, protocols) as SocketLike
    }
    addEventListener(...[type, listener]: [string, (event: never) => void]): void {
      const listen = this.#inner.addEventListener as (type: string, listener: (event: never) => void) => void
      if (type !== 'message') return listen.call(this.#inner, type, listener)
      const hear = listener as unknown as (event: { readonly data: unknown }) => void
      this.#inner.addEventListener('message', (event) => {
        if (!/^\{"op":"(entry|cursor)"/.test(String(event.data))) return hear(event)
        counts.frames++
        const dice = Math.random()
        if (dice < 0.6) hear(event)
        if (dice > 0.4) {
          counts[dice < 0.6 ? 'doubled' : 'late']++
          setTimeout(() => hear(event), Math.random() * 50)
        }
      })
    }
    send(text: string): void {
      this.#inner.send(text)
    }
    close(code?: number): void {
      this.#inner.close(code)
    }
  } as unknown as SocketConstructor
}
