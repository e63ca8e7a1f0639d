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
    const atAcknowledgement = await Promise.all(Array.from({ length: MESSAGES }, send))
    const told = syncs() - before
    for (const count of atAcknowledgement) expect(count).toBeGreaterThan(before)
    expect(told).toBeGreaterThanOrEqual(1)
    expect(told).toBeLessThan(MESSAGES / 4)
    Object.assign(task.meta, { counts: { messages: MESSAGES, syncs: told } })
  })
})
