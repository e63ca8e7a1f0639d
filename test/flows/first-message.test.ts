/** @feature A1 A2 A3 D1 */
import type { ConversationId, EntryId } from '@sotto/protocol'
import { databaseKinds, openTestSocket, startTestServer } from '@sotto/testkit'
import { describe, expect, test } from 'vitest'

describe.each(databaseKinds)('on %s', (kind) => {
  test('a nurse and a patient talk, and the compliance officer sees who did and who read what', async () => {
    await using server = await startTestServer(kind)
    const { operations, ids } = server.composition
    const { alice, bob, cora } = await server.createClinic()
    const conversationId = ids.next<ConversationId>()
    await operations.createConversation(alice.ctx, {
      conversationId,
      kind: 'direct',
      mode: 'managed',
      title: null,
      subjectUserId: bob.userId,
      history: 'full',
      memberIds: [bob.userId],
    })

    const [fromAlice, fromBob] = await Promise.all([
      openTestSocket(server.url, alice.accessToken),
      openTestSocket(server.url, bob.accessToken),
    ])
    await Promise.all([fromAlice.command('conversation.sync', {}), fromBob.command('conversation.sync', {})])
    const sent = await fromAlice.command('message.send', {
      conversationId,
      entryId: ids.next<EntryId>(),
      payload: { v: 1, type: 'text', text: 'How are you, Bob?' },
    })
    expect(sent.seq).toBe(2)
    const { entry } = await fromBob.next('entry', (frame) => frame.entry.seq === 2)
    expect(entry.payload).toEqual({ v: 1, type: 'text', text: 'How are you, Bob?' })
    await fromBob.command('cursor.move', { conversationId, readSeq: 2 })
    const { cursor } = await fromAlice.next('cursor', (frame) => frame.cursor.userId === bob.userId)
    expect(cursor.readSeq).toBe(2)

    const { items } = await operations.listAuditEvents(cora.ctx, { limit: 50, resourceId: conversationId })
    const acts = items.map((event) => `${event.actor.userId === alice.userId ? 'alice' : 'bob'} ${event.action}`)
    expect(acts).toContain('alice message.send')
    expect(acts).toContain('bob delivery.open')
    expect(acts).toContain('bob cursor.move')
    expect(items.every((event) => event.subjectUserId === bob.userId)).toBe(true)
    fromAlice.close()
    fromBob.close()
  })
})
