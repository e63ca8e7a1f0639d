/** @feature A3 J1 */
import type { ConversationId, EntryId } from '@sotto/protocol'
import {
  databaseKinds,
  loadLimits,
  openTestSocket,
  startTestServer,
  type TestServer,
  type TestSocket,
} from '@sotto/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { entryAppended } from '../../apps/server/src/domains/conversations/conversations.topics.ts'
import type { Embedded } from '../../apps/server/src/platform/db/embedded.ts'

const MESSAGES = process.env['SOTTO_TEST_LONG'] === '1' ? 5_000 : 200

describe.runIf(databaseKinds.includes('pglite'))('the disk of the embedded database', () => {
  let server: TestServer
  let socket: TestSocket
  let conversationId: ConversationId

  beforeAll(async () => {
    server = await startTestServer('pglite', { env: loadLimits })
    const { alice, bob } = await server.createClinic()
    conversationId = server.composition.ids.next<ConversationId>()
    await server.composition.operations.createConversation(alice.ctx, {
      conversationId,
      kind: 'direct',
      mode: 'managed',
      title: null,
      subjectUserId: null,
      history: 'full',
      memberIds: [bob.userId],
    })
    socket = await openTestSocket(server.url, alice.accessToken)
    await send()
  }, 120_000)

  afterAll(async () => {
    socket?.close()
    await server?.[Symbol.asyncDispose]()
  })

  const syncs = () => (server.composition.db as Embedded).syncCount()

  /** For each entry how often the disk had been told when its transaction had ended, before a later one of its lane had. */
  function watchCommits(): { readonly countAt: ReadonlyMap<number, number>; stop(): void } {
    const countAt = new Map<number, number>()
    const stop = server.composition.bus.subscribe(entryAppended, ({ entry }) => void countAt.set(entry.seq, syncs()))
    return { countAt, stop }
  }

  /** The entries of the log by the transaction that appended them, in order. */
  async function listTransactions(): Promise<readonly (readonly number[])[]> {
    const rows = await (server.composition.db as Embedded).ownerQuery(
      `select array_agg(seq::int order by seq) as seqs from sotto.entry where conversation_id = $1
       group by xmin::text order by min(seq)`,
      [conversationId],
    )
    return rows.map((row) => row['seqs'] as readonly number[])
  }

  /** @returns how often the disk had been told to keep what it has when the acknowledgement came */
  async function send(): Promise<number> {
    const entryId = server.composition.ids.next<EntryId>()
    await socket.command('message.send', { conversationId, entryId, payload: { v: 1, type: 'text', text: 'Good' } })
    return syncs()
  }

  test('is told to keep a message before the message is acknowledged', async () => {
    for (let message = 0; message < 20; message++) {
      const before = syncs()
      expect(await send()).toBeGreaterThan(before)
    }
  })

  test(`is told far fewer than ${MESSAGES} times to keep ${MESSAGES} messages that come together`, async ({ task }) => {
    const before = syncs()
    const { countAt, stop } = watchCommits()
    await Promise.all(Array.from({ length: MESSAGES }, send))
    // In a second burst the batches are many, whatever became of the first.
    for (let burst = 0; burst < 5; burst++) await Promise.all(Array.from({ length: 5 }, send))
    stop()
    const told = syncs() - before
    let last = before
    for (const seqs of (await listTransactions()).filter((one) => countAt.has(one[0]!))) {
      const counts = seqs.map((seq) => countAt.get(seq)!)
      expect(Math.min(...counts), `the batch of ${seqs.length} from ${seqs[0]} on`).toBeGreaterThan(last)
      last = Math.max(...counts)
    }
    expect(countAt.size).toBe(MESSAGES + 25)
    expect(told).toBeGreaterThanOrEqual(1)
    expect(told).toBeLessThan(MESSAGES / 4)
    Object.assign(task.meta, { counts: { messages: MESSAGES, syncs: told } })
  })
})
