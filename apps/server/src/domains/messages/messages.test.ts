import { limitDefaults, type Entry, type EntryId } from '@sotto/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { expectAct, openWard, type Clinic, type Person, type Ward } from '../conversations/ward.testing.ts'

// sendMessage and listEntries.

describe.each(databaseKinds)('on %s', (kind) => {
  let ward: Ward
  let clinic: Clinic
  let alice: Person, bob: Person, carmen: Person, mallory: Person

  beforeAll(async () => {
    ward = await openWard(kind)
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    clinic = await ward.createClinic()
    ;({ alice, bob, carmen, mallory } = clinic)
  })

  const text = (content: string) => ({ v: 1, type: 'text', text: content })
  const read = async (who: Person, input: Record<string, unknown>) =>
    (await ward.call(who, 'listEntries', input)).body as { items: Entry[]; firstVisibleSeq: number; lastSeq: number }

  describe('sendMessage', () => {
    test('Bob writes, Alice reads, and the trail has both', async () => {
      const { conversationId } = await ward.begin(alice, [bob], { subjectUserId: bob.userId })
      const entryId = ward.ids.next<EntryId>()
      const clientSentAt = '2026-03-01T08:00:00.000Z'
      const header = { priority: 'urgent', notify: 'silent' }
      const asked = { conversationId, entryId, payload: text('It hurts when I laugh 🙂'), header, clientSentAt }
      const { status, body } = await ward.call(bob, 'sendMessage', asked)
      expect([status, body]).toEqual([201, { entryId, seq: 2, countable: 1, at: expect.any(String) }])
      const { items } = await read(alice, { conversationId, afterSeq: 1 })
      expect(items).toEqual([
        {
          conversationId,
          seq: 2,
          countable: 1,
          entryId,
          kind: 'application',
          clientSentAt,
          payload: asked.payload,
          sender: { userId: bob.userId, deviceId: bob.ctx.deviceId },
          at: (body as { at: string }).at,
          header: { counts: true, priority: 'urgent', notify: 'silent' },
        },
      ])
      const events = await ward.trail(clinic)
      const place = { subject: bob.userId, resourceId: conversationId }
      const sent = expectAct(events, bob, { action: 'message.send', ...place, details: { entryId, seq: 2 } })
      expect(sent.actor.address).toBe('127.0.0.1')
      expectAct(events, alice, { action: 'entry.list', ...place, details: { entries: 1, fromSeq: 2, toSeq: 2 } })
    })

    test('a repeat is answered like the first; another body or header under the id is a conflict', async () => {
      const { conversationId } = await ward.begin(alice, [bob])
      const asked = { conversationId, entryId: ward.ids.next<EntryId>(), payload: text('once') }
      const first = await ward.call(bob, 'sendMessage', asked)
      expect(await ward.call(bob, 'sendMessage', asked)).toEqual(first)
      for (const changed of [{ payload: text('twice') }, { header: { priority: 'critical' } }])
        await ward.refused(bob, 'sendMessage', { ...asked, ...changed }, 'messages/entry-conflict')
      await ward.refused(alice, 'sendMessage', asked, 'messages/entry-conflict')
      expect((await read(bob, { conversationId })).lastSeq).toBe(2)
      const codes = (await ward.trail(clinic, { outcome: 'refused' })).map(({ code }) => code)
      expect(codes).toEqual(['messages/entry-conflict', 'messages/entry-conflict', 'entry-of-another'])
      // The same id in another conversation is another message.
      const other = await ward.begin(alice, [bob])
      expect((await ward.call(bob, 'sendMessage', { ...asked, conversationId: other.conversationId })).status).toBe(201)
    })

    test('as much as fits is taken, a byte more is not', async () => {
      const { conversationId } = await ward.begin(alice, [bob])
      const frame = Buffer.byteLength(JSON.stringify(text('')))
      const send = (length: number) => ({
        conversationId,
        entryId: ward.ids.next<EntryId>(),
        payload: text('é'.repeat(length / 2)),
      })
      const fits = limitDefaults.messageBytesMax - frame
      expect((await ward.call(bob, 'sendMessage', send(fits - (fits % 2)))).status).toBe(201)
      await ward.refused(bob, 'sendMessage', send(fits - (fits % 2) + 2), 'messages/too-large')
      expect((await read(bob, { conversationId })).lastSeq).toBe(2)
      expectAct(await ward.trail(clinic), bob, {
        action: 'message.send',
        outcome: 'refused',
        code: 'messages/too-large',
        resourceId: conversationId,
      })
    })

    test('what is not a message is not taken', async () => {
      const { conversationId } = await ward.begin(alice, [bob])
      const entryId = ward.ids.next<EntryId>()
      const bad = [
        { payload: text('') },
        { payload: { v: 1, type: 'membership', change: 'added', userIds: [] } },
        { payload: { ...text('x'), more: 1 } },
        { payload: text('x'), header: { counts: false } },
        { payload: text('\ud800') },
        { payload: text('x'), entryId: '00000000-0000-4000-8000-000000000000' },
        { payload: { v: 2, type: 'text', text: 'x' } },
      ]
      for (const changes of bad)
        await ward.refused(bob, 'sendMessage', { conversationId, entryId, ...changes }, 'platform/invalid-input')
      expect((await read(bob, { conversationId })).lastSeq).toBe(1)
    })

    test('closed, removed, stranger: each its own answer, and nothing is appended', async () => {
      const { conversationId } = await ward.begin(alice, [bob, carmen])
      await ward.operations.removeMember(alice.ctx, { conversationId, userId: carmen.userId })
      const asked = () => ({ conversationId, entryId: ward.ids.next<EntryId>(), payload: text('hello?') })
      await ward.refused(carmen, 'sendMessage', asked(), 'access/not-found')
      await ward.refused(mallory, 'sendMessage', asked(), 'access/not-found')
      await ward.operations.updateConversation(alice.ctx, { conversationId, closed: true })
      await ward.refused(bob, 'sendMessage', asked(), 'conversations/closed')
      await ward.operations.updateConversation(alice.ctx, { conversationId, closed: false })
      expect(await ward.call(bob, 'sendMessage', asked())).toMatchObject({
        status: 201,
        body: { seq: 5, countable: 1 },
      })
    })
  })

  describe('listEntries', () => {
    test('the last ones, those after, those before, and a range between', async () => {
      const { conversationId } = await ward.begin(alice, [bob])
      for (let count = 0; count < 9; count++) await ward.say(alice, conversationId, `text ${count}`)
      const seqs = async (input: Record<string, unknown>) =>
        (await read(bob, { conversationId, ...input })).items.map(({ seq }) => seq)
      expect(await seqs({ limit: 3 })).toEqual([8, 9, 10])
      expect(await seqs({ limit: 3, afterSeq: 4 })).toEqual([5, 6, 7])
      expect(await seqs({ limit: 3, beforeSeq: 5 })).toEqual([2, 3, 4])
      expect(await seqs({ limit: 9, afterSeq: 4, beforeSeq: 8 })).toEqual([5, 6, 7])
      expect(await seqs({ afterSeq: 10 })).toEqual([])
      expect(await seqs({ beforeSeq: 1 })).toEqual([])
      expect(await seqs({ afterSeq: 999 })).toEqual([])
      await ward.refused(bob, 'listEntries', { conversationId, afterSeq: 5, beforeSeq: 5 }, 'platform/invalid-input')
      for (const bad of [{ afterSeq: '-1' }, { beforeSeq: '0' }, { limit: 201 }, { afterSeq: '1e3' }, { more: 1 }])
        expect((await ward.call(bob, 'listEntries', { conversationId, ...bad })).status).toBe('more' in bad ? 200 : 400)
      const events = await ward.trail(clinic, { actorUserId: bob.userId, action: 'entry.list', outcome: 'success' })
      expect(events[0]!.details).toEqual({ entries: 3, fromSeq: 8, toSeq: 10 })
      expect(events[4]!.details).toEqual({ entries: 0, fromSeq: 0, toSeq: 0 })
    })

    test('what was written before one could see it does not exist, whatever is asked', async () => {
      const { conversationId } = await ward.begin(alice, [bob], { history: 'since-join' })
      await ward.say(alice, conversationId, 'not for Carmen')
      await ward.operations.addMember(alice.ctx, {
        conversationId,
        userIds: [carmen.userId],
        memberRole: 'participant',
      })
      await ward.say(alice, conversationId, 'for Carmen, too')
      for (const input of [{}, { afterSeq: 0 }, { afterSeq: 1 }, { beforeSeq: 99 }, { afterSeq: 0, beforeSeq: 99 }]) {
        const { items, firstVisibleSeq, lastSeq } = await read(carmen, { conversationId, ...input })
        expect([items.map(({ seq }) => seq), firstVisibleSeq, lastSeq]).toEqual([[3, 4], 3, 4])
      }
      for (const input of [{ beforeSeq: 3 }, { afterSeq: 0, beforeSeq: 3 }])
        expect((await read(carmen, { conversationId, ...input })).items).toEqual([])
    })

    test('an erased entry keeps its place', async () => {
      const { conversationId } = await ward.begin(alice, [bob])
      for (const content of ['one', 'two']) await ward.say(alice, conversationId, content)
      await ward.ownerQuery('update sotto.entry set body_ciphertext = null where conversation_id = $1 and seq = 2', [
        conversationId,
      ])
      const { items } = await read(bob, { conversationId, afterSeq: 1 })
      expect(items.map(({ seq, payload }) => [seq, payload.type])).toEqual([
        [2, 'erased'],
        [3, 'text'],
      ])
    })
  })
})
