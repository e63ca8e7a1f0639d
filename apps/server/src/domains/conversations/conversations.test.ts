import {
  type Conversation,
  type ConversationId,
  type InputOf,
  type Member,
  type Operations,
  type UserId,
} from '@sotto/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { expectAct, openWard, outcomes, type Clinic, type Person, type Ward } from './ward.testing.ts'

// createConversation, getConversation, listConversations and updateConversation, as people use them; what
// createMembershipFacts brings, renderConversation and renderEntry show in what they answer.

type Page<T> = { readonly items: readonly T[]; readonly next: string | null }

describe.each(databaseKinds)('on %s', (kind) => {
  let ward: Ward
  let clinic: Clinic
  let alice: Person, grace: Person, bob: Person, carmen: Person, mallory: Person, cora: Person, ada: Person

  beforeAll(async () => {
    ward = await openWard(kind)
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    clinic = await ward.createClinic()
    ;({ alice, grace, bob, carmen, mallory, cora, ada } = clinic)
  })

  const newId = () => ward.ids.next<ConversationId>()
  const get = async (who: Person, conversationId: ConversationId) =>
    (await ward.operations.getConversation(who.ctx, { conversationId })) as Conversation
  const members = async (who: Person, conversationId: ConversationId) =>
    ((await ward.operations.listMembers(who.ctx, { conversationId, limit: 200 })) as Page<Member>).items
  const setUp = (input: Parameters<Ward['begin']>[2] = {}, others = [grace, bob]) =>
    ward.begin(alice, others, { subjectUserId: bob.userId, ...input })

  describe('createConversation', () => {
    const input = () => ({
      conversationId: newId(),
      kind: 'direct',
      mode: 'managed',
      title: 'Knee, left',
      subjectUserId: bob.userId,
      history: 'full',
      memberIds: [bob.userId],
    })

    test('Alice begins to talk with Bob about Bob, and manages what she began', async () => {
      const asked = input()
      const { status, body } = await ward.call(alice, 'createConversation', asked)
      expect(status).toBe(201)
      expect(body).toMatchObject({
        conversationId: asked.conversationId,
        title: 'Knee, left',
        closed: false,
        memberCount: 2,
        lastSeq: 1,
        lastEntry: { kind: 'membership', payload: { type: 'membership', change: 'created' } },
        cursor: { readSeq: 1, deliveredSeq: 1, unread: 0, asOfSeq: 1 },
        notForEmergencies: false,
      })
      expect((await members(bob, asked.conversationId)).map((one) => [one.userId, one.memberRole])).toEqual(
        expect.arrayContaining([
          [alice.userId, 'manager'],
          [bob.userId, 'participant'],
        ]),
      )
      expect((await get(bob, asked.conversationId)).notForEmergencies).toBe(true)
      const event = expectAct(await ward.trail(clinic), alice, {
        action: 'conversation.create',
        subject: bob.userId,
        resourceId: asked.conversationId,
        details: { kind: 'direct', members: [alice.userId, bob.userId] },
      })
      expect(event.actor.address).toBe('127.0.0.1')
    })

    test('a repeat answers the same conversation and appends nothing; other content is a conflict', async () => {
      const asked = input()
      const first = await ward.call(alice, 'createConversation', asked)
      const again = await ward.call(alice, 'createConversation', asked)
      expect(again).toEqual(first)
      await ward.refused(alice, 'createConversation', { ...asked, title: 'Knee, right' }, 'conversations/id-taken')
      await ward.refused(grace, 'createConversation', { ...asked, memberIds: [bob.userId] }, 'conversations/id-taken')
      const events = await ward.trail(clinic)
      expectAct(events, alice, { action: 'conversation.create', subject: bob.userId, details: { repeat: true } })
      expectAct(events, grace, {
        action: 'conversation.create',
        outcome: 'refused',
        code: 'conversations/id-taken',
        subject: null,
      })
    })

    test('one made many times at once is made once', async () => {
      const asked = input()
      const answers = await Promise.all(Array.from({ length: 8 }, () => ward.call(alice, 'createConversation', asked)))
      expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(201))
      expect((await get(alice, asked.conversationId)).lastSeq).toBe(1)
    })

    // PGlite has one connection: two transactions never run beside each other there.
    test.each([kind].filter((one) => one === 'postgres'))(
      'on %s one made by two nodes at once is made once: the other answers the same, or a conflict where it differs',
      async () => {
        await using connections = await ward.openConnections()
        const other = await ward.startNode(connections)
        const rounds = 12
        for (let round = 0; round < rounds; round++) {
          const asked = input() as InputOf<Operations['createConversation']>
          const answers = await Promise.all(
            [ward, other].map(({ operations }) => operations.createConversation(alice.ctx, asked)),
          )
          expect(answers[1]).toEqual(answers[0])
          expect(answers[0]).toMatchObject({ conversationId: asked.conversationId, lastSeq: 1, memberCount: 2 })
          const events = await ward.trail(clinic, { resourceId: asked.conversationId })
          expect(events.map(({ outcome }) => outcome)).toEqual(['success', 'success'])
          expect(events.filter(({ details }) => details['repeat'] === true)).toHaveLength(1)

          const conversationId = newId()
          const differing = await outcomes([
            ward.operations.createConversation(alice.ctx, { ...asked, conversationId }),
            other.operations.createConversation(grace.ctx, { ...asked, conversationId }),
          ])
          expect(differing.filter((one) => one === 'conversations/id-taken')).toHaveLength(1)
          expect(differing.filter((one) => typeof one === 'object')).toHaveLength(1)
        }
      },
    )

    test('the same two people may have several direct conversations: each matter has its own', async () => {
      const [one, two] = [input(), input()]
      await ward.call(alice, 'createConversation', one)
      await ward.call(alice, 'createConversation', two)
      const { items } = (await ward.operations.listConversations(bob.ctx, { limit: 50 })) as Page<Conversation>
      expect(items).toHaveLength(2)
    })

    test.each([
      ['a patient', () => bob],
      ['an administrator', () => ada],
      ['a compliance officer', () => cora],
    ])('%s does not begin one', async (_who, who) => {
      await ward.refused(who(), 'createConversation', { ...input(), memberIds: [alice.userId] }, 'access/denied')
      expectAct(await ward.trail(clinic), who(), {
        action: 'conversation.create',
        outcome: 'refused',
        code: 'access/denied',
      })
    })

    test('people of another clinic, unknown and deactivated ones cannot be named', async () => {
      const other = await ward.createClinic()
      await ward.operations.updateUser(ada.ctx, { userId: carmen.userId, active: false })
      for (const userId of [other.bob.userId, ward.ids.next<UserId>(), carmen.userId]) {
        await ward.refused(
          alice,
          'createConversation',
          { ...input(), memberIds: [userId] },
          'conversations/unknown-user',
        )
        await ward.refused(
          alice,
          'createConversation',
          { ...input(), subjectUserId: userId },
          'conversations/unknown-user',
        )
      }
    })

    test('a direct one has exactly one other member, and one is about a patient', async () => {
      const more = { ...input(), memberIds: [bob.userId, carmen.userId] }
      await ward.refused(alice, 'createConversation', more, 'platform/invalid-input')
      await ward.refused(
        alice,
        'createConversation',
        { ...input(), memberIds: [alice.userId] },
        'platform/invalid-input',
      )
      const aboutStaff = { ...input(), subjectUserId: grace.userId }
      await ward.refused(alice, 'createConversation', aboutStaff, 'platform/invalid-input')
    })

    test('two clinics may have a conversation of the same id, and neither sees the other’s', async () => {
      const other = await ward.createClinic()
      const asked = input()
      await ward.call(alice, 'createConversation', asked)
      const foreign = { ...asked, title: 'Not yours', subjectUserId: null, memberIds: [other.bob.userId] }
      expect((await ward.call(other.alice, 'createConversation', foreign)).status).toBe(201)
      expect((await get(alice, asked.conversationId)).title).toBe('Knee, left')
      expect((await get(other.alice, asked.conversationId)).title).toBe('Not yours')
    })
  })

  test('what one is no member of does not exist: the same 404, whether it is another’s, of another clinic, or nowhere', async () => {
    const other = await ward.createClinic()
    const { conversationId } = await setUp()
    const foreign = await ward.begin(other.alice, [other.bob])
    const nowhere = newId()
    const asks: readonly (readonly [keyof Operations, (id: ConversationId) => Record<string, unknown>])[] = [
      ['getConversation', (id) => ({ conversationId: id })],
      ['updateConversation', (id) => ({ conversationId: id, closed: true })],
      ['listMembers', (id) => ({ conversationId: id })],
      ['addMember', (id) => ({ conversationId: id, userIds: [mallory.userId] })],
      ['removeMember', (id) => ({ conversationId: id, userId: mallory.userId })],
      ['listCursors', (id) => ({ conversationId: id })],
      ['moveCursor', (id) => ({ conversationId: id, readSeq: 1 })],
      ['listEntries', (id) => ({ conversationId: id })],
      [
        'sendMessage',
        (id) => ({ conversationId: id, entryId: ward.ids.next(), payload: { v: 1, type: 'text', text: 'hello?' } }),
      ],
    ]
    for (const [name, input] of asks) {
      const bodies = []
      for (const id of [conversationId, foreign.conversationId, nowhere])
        bodies.push(await ward.refused(mallory, name, input(id), 'access/not-found'))
      expect(new Set(bodies.map((body) => JSON.stringify(body))).size, name).toBe(1)
    }
    const refusals = (await ward.trail(clinic, { outcome: 'refused', actorUserId: mallory.userId })).filter(
      ({ resource }) => resource?.id === conversationId,
    )
    // The trail keeps why, about whom, and on what.
    expect(refusals.map(({ action }) => action).toSorted()).toEqual([
      'conversation.get',
      'conversation.update',
      'cursor.list',
      'cursor.move',
      'entry.list',
      'member.add',
      'member.list',
      'member.remove',
      'message.send',
    ])
    for (const event of refusals) expect([event.code, event.subjectUserId]).toEqual(['not-a-member', bob.userId])
    const others = await ward.trail(clinic, { outcome: 'refused', resourceId: foreign.conversationId })
    expect(others.every(({ code, subjectUserId }) => code === 'no-such-conversation' && subjectUserId === null)).toBe(
      true,
    )
    expect(await ward.trail(other, { resourceId: foreign.conversationId, outcome: 'refused' })).toEqual([])
  })

  describe('getConversation, listConversations', () => {
    test('each member is told what that member may do', async () => {
      const { conversationId } = await setUp()
      const base = ['conversation.get', 'entry.list', 'message.send', 'member.list']
      const rest = ['member.leave', 'cursor.list', 'cursor.move', 'typing.signal']
      expect((await get(bob, conversationId)).can).toEqual([...base, ...rest])
      expect((await get(grace, conversationId)).can).toEqual([...base, ...rest])
      expect((await get(alice, conversationId)).can).toEqual([
        'conversation.get',
        'conversation.update',
        'entry.list',
        'message.send',
        'member.list',
        'member.add',
        'member.remove',
        // The last manager does not leave the others.
        ...rest.filter((capability) => capability !== 'member.leave'),
      ])
      await ward.operations.updateConversation(alice.ctx, { conversationId, closed: true })
      expect((await get(bob, conversationId)).can).toEqual([
        'conversation.get',
        'entry.list',
        'member.list',
        'member.leave',
        'cursor.list',
        'cursor.move',
      ])
      expectAct((await ward.trail(clinic)).slice(0, -1), bob, {
        action: 'conversation.get',
        subject: bob.userId,
        resourceId: conversationId,
      })
    })

    test('what a patient and a nurse write to each other is about the patient, also when nobody says so', async () => {
      const direct = await ward.begin(alice, [bob], { kind: 'direct', subjectUserId: null })
      expect(direct.subjectUserId).toBe(bob.userId)
      const { conversationId } = direct
      await ward.say(alice, conversationId, 'Good morning')
      await ward.call(alice, 'listEntries', { conversationId })
      const events = await ward.trail(clinic, { subjectUserId: bob.userId, resourceId: conversationId })
      expect(events.map(({ action }) => action)).toEqual(['conversation.create', 'message.send', 'entry.list'])
      const staff = await ward.begin(alice, [grace], { kind: 'direct', subjectUserId: null })
      expect(staff.subjectUserId).toBeNull()
    })

    test('a list is paged without a gap, and each conversation shown is recorded with whom it is about', async () => {
      const ids = []
      for (let count = 0; count < 5; count++) ids.push((await setUp()).conversationId)
      const seen: string[] = []
      let after: string | null | undefined
      do {
        const { body } = await ward.call(bob, 'listConversations', { limit: 2, ...(after ? { after } : {}) })
        const page = body as Page<Conversation>
        seen.push(...page.items.map(({ conversationId }) => conversationId))
        after = page.next
      } while (after !== null)
      expect(seen).toEqual(ids.toSorted())
      const events = await ward.trail(clinic, { actorUserId: bob.userId, action: 'conversation.list' })
      expect(events.map(({ resource, subjectUserId }) => `${resource?.id} ${subjectUserId}`).toSorted()).toEqual(
        ids.map((id) => `${id} ${bob.userId}`).toSorted(),
      )
      await ward.refused(bob, 'listConversations', { after: 'somewhere' }, 'platform/invalid-input')
      const empty = await ward.call(mallory, 'listConversations', {})
      expect(empty.body).toEqual({ items: [], next: null })
      expectAct(await ward.trail(clinic), mallory, { action: 'conversation.list', details: { conversations: 0 } })
    })

    test('when a patient was erased, the others of a list are read as before', async () => {
      const { conversationId } = await setUp({ title: 'About Bob' })
      const kept = await ward.begin(alice, [grace], { title: 'Rota' })
      await ward.say(alice, conversationId, 'about Bob')
      const { tenantId } = alice.ctx
      // As it looks once the key is gone: every epoch of the conversation is disabled.
      await ward.ownerQuery(
        `update sotto.conversation_key set state = 'disabled' where tenant_id = $1 and conversation_id = $2`,
        [tenantId, conversationId],
      )
      const { operations } = await ward.startNode()
      const { items } = (await operations.listConversations(grace.ctx, { limit: 10 })) as Page<Conversation>
      expect(items.map(({ title, lastEntry }) => [title, lastEntry?.payload.type])).toEqual([
        [null, 'erased'],
        ['Rota', 'membership'],
      ])
      expect(kept.title).toBe('Rota')
    })
  })

  describe('updateConversation', () => {
    test('the manager renames, closes and reopens; each change is an entry that does not carry the title', async () => {
      const { conversationId } = await setUp()
      const asked = { conversationId, title: 'After the operation', closed: true }
      const { body } = await ward.call(alice, 'updateConversation', asked)
      expect(body).toMatchObject({ title: 'After the operation', closed: true, lastSeq: 3 })
      await ward.operations.updateConversation(alice.ctx, { conversationId, closed: true })
      await ward.operations.updateConversation(alice.ctx, { conversationId, closed: false, title: null })
      const { items } = await ward.operations.listEntries(bob.ctx, { conversationId, limit: 10 })
      expect(items.slice(1).map(({ payload }) => payload)).toEqual(
        ['renamed', 'closed', 'renamed', 'reopened'].map((change) => ({ v: 1, type: 'conversation', change })),
      )
      expect((await get(bob, conversationId)).cursor.unread).toBe(0)
      expectAct(await ward.trail(clinic), alice, {
        action: 'conversation.update',
        subject: bob.userId,
        resourceId: conversationId,
        details: { changes: ['renamed', 'closed'] },
      })
    })

    test('nobody else does', async () => {
      const { conversationId } = await setUp()
      for (const who of [grace, bob])
        await ward.refused(who, 'updateConversation', { conversationId, closed: true }, 'access/denied')
      expect((await get(alice, conversationId)).closed).toBe(false)
      expectAct(await ward.trail(clinic), grace, {
        action: 'conversation.update',
        outcome: 'refused',
        code: 'access/denied',
        subject: bob.userId,
        resourceId: conversationId,
      })
    })

    test('what is closed takes no message, no typing and no member, and is read as before', async () => {
      const { conversationId } = await setUp()
      await ward.say(bob, conversationId, 'before')
      await ward.operations.updateConversation(alice.ctx, { conversationId, closed: true })
      await expect(ward.say(bob, conversationId, 'after')).rejects.toMatchObject({ code: 'conversations/closed' })
      await expect(ward.commands.signalTyping(bob.ctx, { conversationId, typing: true })).rejects.toMatchObject({
        code: 'conversations/closed',
      })
      await ward.refused(alice, 'addMember', { conversationId, userIds: [carmen.userId] }, 'conversations/closed')
      expect(await ward.call(bob, 'moveCursor', { conversationId, readSeq: 3 })).toMatchObject({ status: 200 })
      expect(await ward.call(grace, 'listEntries', { conversationId })).toMatchObject({ status: 200 })
    })
  })
})
