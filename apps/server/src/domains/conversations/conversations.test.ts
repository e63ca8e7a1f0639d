import {
  limitSpecs,
  type Conversation,
  type ConversationId,
  type Member,
  type Operations,
  type UserId,
} from '@sotto/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { expectAct, openWard, type Clinic, type Person, type Ward } from './ward.testing.ts'

// createConversation, getConversation, listConversations, updateConversation, addMember, removeMember, listMembers,
// listCursors and moveCursor, as people use them; rotateKey and createMembershipFacts show in what they do.

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
  const remove = (who: Person, conversationId: ConversationId, userId: UserId) =>
    ward.operations.removeMember(who.ctx, { conversationId, userId })
  const add = (
    who: Person,
    conversationId: ConversationId,
    others: readonly Person[],
    memberRole: 'manager' | 'participant' = 'participant',
  ) =>
    ward.operations.addMember(who.ctx, {
      conversationId,
      memberRole,
      userIds: others.map(({ userId }) => userId),
    }) as Promise<Conversation>

  describe('createConversation', () => {
    const input = () => ({
      ...{ conversationId: newId(), kind: 'direct', mode: 'managed', title: 'Knee, left' },
      ...{ subjectUserId: bob.userId, history: 'full', memberIds: [bob.userId] },
    })

    test('Alice begins to talk with Bob about Bob, and manages what she began', async () => {
      const asked = input()
      const { status, body } = await ward.call(alice, 'createConversation', asked)
      expect(status).toBe(201)
      expect(body).toMatchObject({
        ...{ conversationId: asked.conversationId, title: 'Knee, left', closed: false, memberCount: 2, lastSeq: 1 },
        ...{ lastEntry: { kind: 'membership', payload: { type: 'membership', change: 'created' } } },
        ...{ cursor: { readSeq: 1, deliveredSeq: 1, unread: 0, asOfSeq: 1 }, notForEmergencies: false },
      })
      expect((await members(bob, asked.conversationId)).map((one) => [one.userId, one.memberRole])).toEqual(
        expect.arrayContaining([
          [alice.userId, 'manager'],
          [bob.userId, 'participant'],
        ]),
      )
      expect((await get(bob, asked.conversationId)).notForEmergencies).toBe(true)
      const event = expectAct(await ward.trail(clinic), alice, {
        ...{ action: 'conversation.create', subject: bob.userId, resourceId: asked.conversationId },
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
        ...{ action: 'conversation.create', outcome: 'refused', code: 'conversations/id-taken' },
        subject: null,
      })
    })

    test('one made many times at once is made once', async () => {
      const asked = input()
      const answers = await Promise.all(Array.from({ length: 8 }, () => ward.call(alice, 'createConversation', asked)))
      expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(201))
      expect((await get(alice, asked.conversationId)).lastSeq).toBe(1)
    })

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
      ...['conversation.get', 'conversation.update', 'cursor.list', 'cursor.move', 'entry.list', 'member.add'],
      ...['member.list', 'member.remove', 'message.send'],
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
        ...['conversation.get', 'conversation.update', 'entry.list', 'message.send', 'member.list', 'member.add'],
        ...['member.remove', ...rest],
      ])
      await ward.operations.updateConversation(alice.ctx, { conversationId, closed: true })
      expect((await get(bob, conversationId)).can).toEqual([
        ...['conversation.get', 'entry.list', 'member.list', 'member.leave', 'cursor.list', 'cursor.move'],
      ])
      expectAct((await ward.trail(clinic)).slice(0, -1), bob, {
        ...{ action: 'conversation.get', subject: bob.userId, resourceId: conversationId },
      })
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
      expect(events.map(({ resource, subjectUserId }) => [resource?.id, subjectUserId]).toSorted()).toEqual(
        ids.map((id) => [id, bob.userId]).toSorted(),
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
        ...{ action: 'conversation.update', subject: bob.userId, resourceId: conversationId },
        details: { changes: ['renamed', 'closed'] },
      })
    })

    test('nobody else does', async () => {
      const { conversationId } = await setUp()
      for (const who of [grace, bob])
        await ward.refused(who, 'updateConversation', { conversationId, closed: true }, 'access/denied')
      expect((await get(alice, conversationId)).closed).toBe(false)
      expectAct(await ward.trail(clinic), grace, {
        ...{ action: 'conversation.update', outcome: 'refused', code: 'access/denied', subject: bob.userId },
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

  describe('addMember', () => {
    test('by history policy who joins later sees everything or what comes from then on; nothing of it is unread', async () => {
      for (const history of ['full', 'since-join'] as const) {
        const { conversationId } = await setUp({ history })
        await ward.say(alice, conversationId, 'before Carmen')
        const shown = await add(alice, conversationId, [carmen])
        expect(shown).toMatchObject({ memberCount: 4, lastSeq: 3 })
        await ward.say(alice, conversationId, 'after Carmen')
        const { body } = await ward.call(carmen, 'listEntries', { conversationId })
        const { items, firstVisibleSeq } = body as { items: { seq: number }[]; firstVisibleSeq: number }
        expect(firstVisibleSeq).toBe(history === 'full' ? 1 : 3)
        expect(items.map(({ seq }) => seq)).toEqual(history === 'full' ? [1, 2, 3, 4] : [3, 4])
        expect((await get(carmen, conversationId)).cursor).toMatchObject({ unread: 1, readSeq: 3 })
      }
      const events = await ward.trail(clinic, { action: 'member.add' })
      expect(events.map(({ details }) => details['added'])).toEqual([[carmen.userId], [carmen.userId]])
      expect(events.every(({ subjectUserId }) => subjectUserId === bob.userId)).toBe(true)
    })

    test('a repeat adds nobody and appends nothing', async () => {
      const { conversationId } = await setUp()
      await add(alice, conversationId, [carmen, grace])
      const again = await add(alice, conversationId, [carmen, grace])
      expect(again).toMatchObject({ memberCount: 4, lastSeq: 2 })
    })

    test('a member who is added as manager becomes one, and is never made less by being added', async () => {
      const { conversationId } = await setUp()
      await ward.refused(alice, 'removeMember', { conversationId, userId: alice.userId }, 'conversations/last-manager')
      await add(alice, conversationId, [grace], 'manager')
      await add(alice, conversationId, [grace], 'participant')
      expect((await members(bob, conversationId)).find((one) => one.userId === grace.userId)?.memberRole).toBe(
        'manager',
      )
      expectAct(await ward.trail(clinic), alice, {
        ...{ action: 'member.add', subject: bob.userId, details: { promoted: [grace.userId], added: [] } },
      })
      await remove(alice, conversationId, alice.userId)
      expect((await get(grace, conversationId)).can).toContain('member.remove')
    })

    test('a patient does not become a manager: nobody could manage then', async () => {
      const { conversationId } = await setUp()
      const asked = { conversationId, userIds: [carmen.userId], memberRole: 'manager' }
      await ward.refused(alice, 'addMember', asked, 'platform/invalid-input')
      expect(await members(alice, conversationId)).toHaveLength(3)
    })

    test('only managers who care add; never to a direct conversation, nor anyone who does not exist', async () => {
      const { conversationId } = await setUp()
      for (const who of [grace, bob])
        await ward.refused(who, 'addMember', { conversationId, userIds: [carmen.userId] }, 'access/denied')
      const direct = await setUp({ kind: 'direct' }, [bob])
      const intoDirect = { conversationId: direct.conversationId, userIds: [carmen.userId] }
      await ward.refused(alice, 'addMember', intoDirect, 'access/denied')
      const other = await ward.createClinic()
      const foreign = { conversationId, userIds: [carmen.userId, other.bob.userId] }
      await ward.refused(alice, 'addMember', foreign, 'conversations/unknown-user')
      expect(await members(alice, conversationId)).toHaveLength(3)
    })

    test('a conversation has a largest number of members, and who is one too many changes nothing', async () => {
      const { conversationId } = await setUp()
      const max = limitSpecs.conversationMembersMax.value
      const { tenantId } = alice.ctx
      // As many strangers as make it full, put there behind the server's back.
      await ward.ownerQuery(
        `insert into sotto.app_user (tenant_id, user_id, role, active, display_name_encrypted, login_encrypted, login_index, updated_at, created_at)
         select u.tenant_id, gen_random_uuid(), 'clinician', true, u.display_name_encrypted, u.login_encrypted, decode(md5(n::text) || md5(n::text), 'hex'), now(), now()
         from sotto.app_user u, generate_series(1, ${max - 3}) n where u.user_id = '${grace.userId}'`,
      )
      await ward.ownerQuery(
        `insert into sotto.member (tenant_id, conversation_id, user_id, member_role, joined_seq, first_visible_seq, joined_at)
         select tenant_id, '${conversationId}', user_id, 'participant', 1, 1, now() from sotto.app_user u
         where tenant_id = '${tenantId}' and role = 'clinician'
         on conflict do nothing`,
      )
      await ward.ownerQuery(
        `delete from sotto.member where conversation_id = '${conversationId}' and user_id = '${mallory.userId}'`,
      )
      await ward.refused(
        alice,
        'addMember',
        { conversationId, userIds: [carmen.userId] },
        'conversations/too-many-members',
      )
      expect((await get(alice, conversationId)).lastSeq).toBe(1)
      // Above the limit of receipts nobody is shown how far single persons have read.
      expect((await ward.call(bob, 'listCursors', { conversationId })).body).toEqual({ items: [] })
    })
  })

  describe('removeMember', () => {
    test('who is removed sees nothing from then on, and what follows is sealed under a new key', async () => {
      const { conversationId } = await setUp()
      await ward.say(alice, conversationId, 'Bob may read this')
      expect((await ward.call(alice, 'removeMember', { conversationId, userId: bob.userId })).status).toBe(204)
      await ward.say(alice, conversationId, 'Bob may not')
      await ward.refused(bob, 'listEntries', { conversationId }, 'access/not-found')
      await ward.refused(alice, 'removeMember', { conversationId, userId: bob.userId }, 'access/not-found')
      const rows = await ward.ownerQuery(`select key_epoch from sotto.conversation where conversation_id = $1`, [
        conversationId,
      ])
      expect(rows).toEqual([{ key_epoch: 2 }])
      const { body } = await ward.call(grace, 'listEntries', { conversationId })
      expect((body as Page<{ payload: { text?: string } }>).items.map(({ payload }) => payload.text)).toEqual([
        ...[undefined, 'Bob may read this', undefined, 'Bob may not'],
      ])
      const events = await ward.trail(clinic)
      const removed = { removed: bob.userId, left: false, keyEpoch: 2 }
      expectAct(events, alice, {
        action: 'member.remove',
        subject: bob.userId,
        resourceId: conversationId,
        details: removed,
      })
      expectAct(events, alice, {
        ...{ action: 'member.remove', outcome: 'refused', code: 'no-such-member', subject: bob.userId },
        resourceId: conversationId,
      })
    })

    test('anyone leaves a group, a patient too; nobody leaves or is removed from a direct conversation', async () => {
      const { conversationId } = await setUp()
      expect((await ward.call(bob, 'removeMember', { conversationId, userId: bob.userId })).status).toBe(204)
      const { items } = await ward.operations.listEntries(alice.ctx, { conversationId, limit: 10 })
      expect(items.at(-1)?.payload).toMatchObject({ change: 'left', userIds: [bob.userId] })
      const direct = await setUp({ kind: 'direct' }, [bob])
      for (const who of [alice, bob]) {
        const asked = { conversationId: direct.conversationId, userId: bob.userId }
        await ward.refused(who, 'removeMember', asked, 'access/denied')
      }
    })

    test('participants remove nobody', async () => {
      const { conversationId } = await setUp()
      for (const who of [grace, bob])
        await ward.refused(who, 'removeMember', { conversationId, userId: alice.userId }, 'access/denied')
    })

    test('of two managers who leave at once, one stays; the last member of all may go', async () => {
      const { conversationId } = await setUp()
      await add(alice, conversationId, [grace], 'manager')
      const both = await Promise.allSettled([
        remove(alice, conversationId, alice.userId),
        remove(grace, conversationId, grace.userId),
      ])
      expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
      const stayed = both[0].status === 'rejected' ? alice : grace
      expect(await members(stayed, conversationId)).toHaveLength(2)
      const alone = await ward.begin(alice, [bob])
      await remove(bob, alone.conversationId, bob.userId)
      await remove(alice, alone.conversationId, alice.userId)
      await ward.refused(alice, 'getConversation', { conversationId: alone.conversationId }, 'access/not-found')
    })

    test('a refusal at the last moment undoes everything, the new key too', async () => {
      const { conversationId } = await setUp()
      await ward.refused(alice, 'removeMember', { conversationId, userId: alice.userId }, 'conversations/last-manager')
      expect((await get(alice, conversationId)).lastSeq).toBe(1)
      await remove(alice, conversationId, bob.userId)
      await ward.say(alice, conversationId, 'sealed under the epoch that stands in the database')
      const { operations } = await ward.startNode()
      const read = await operations.listEntries(grace.ctx, { conversationId, limit: 10 })
      expect(JSON.stringify(read)).toContain('sealed under the epoch')
    })
  })

  describe('listMembers, listCursors, moveCursor', () => {
    test('members are named, with their roles, page by page', async () => {
      const { conversationId } = await setUp()
      const first = (await ward.call(bob, 'listMembers', { conversationId, limit: 2 })).body as Page<Member>
      const rest = (await ward.call(bob, 'listMembers', { conversationId, limit: 2, after: first.next! }))
        .body as Page<Member>
      const all = [...first.items, ...rest.items]
      expect(all.map(({ displayName, role }) => `${displayName}: ${role}`).toSorted()).toEqual([
        ...['Alice the nurse: clinician', 'Bob the patient: patient', 'Grace the doctor: clinician'],
      ])
      expect(rest.next).toBeNull()
      expectAct(await ward.trail(clinic), bob, { action: 'member.list', subject: bob.userId, details: { members: 1 } })
    })

    test('receipts move forward only, and everyone sees them', async () => {
      const { conversationId } = await setUp()
      for (const text of ['one', 'two', 'three']) await ward.say(alice, conversationId, text)
      const moved = await ward.call(bob, 'moveCursor', { conversationId, readSeq: 3 })
      expect(moved).toEqual({
        status: 200,
        body: { userId: bob.userId, deliveredSeq: 3, readSeq: 3, unread: 1, asOfSeq: 4 },
      })
      const back = await ward.call(bob, 'moveCursor', { conversationId, readSeq: 2, deliveredSeq: 4 })
      expect(back.body).toMatchObject({ readSeq: 3, deliveredSeq: 4, unread: 1 })
      await ward.refused(bob, 'moveCursor', { conversationId, readSeq: 5 }, 'conversations/cursor-ahead')
      const { body } = await ward.call(grace, 'listCursors', { conversationId })
      expect((body as Page<object>).items).toContainEqual({ userId: bob.userId, deliveredSeq: 4, readSeq: 3 })
      const events = await ward.trail(clinic)
      expectAct(events, grace, { action: 'cursor.list', subject: bob.userId, resourceId: conversationId })
      expectAct(events, bob, { action: 'cursor.move', subject: bob.userId, details: { readSeq: 3, deliveredSeq: 0 } })
      expectAct(events, bob, {
        ...{ action: 'cursor.move', outcome: 'refused', code: 'conversations/cursor-ahead', subject: bob.userId },
      })
    })

    test('of several moves at once each has its own answer, and a bad one moves and stops nothing', async () => {
      const { conversationId } = await setUp({}, [grace, bob, carmen])
      for (const text of ['one', 'two', 'three']) await ward.say(alice, conversationId, text)
      const move = (who: Person, readSeq: number) =>
        ward.commands.moveCursor(who.ctx, { conversationId, readSeq }).then(
          (cursor) => [cursor.readSeq, cursor.unread],
          (error: { code: string }) => error.code,
        )
      // Decisions to be kept, and what they rest on taken away.
      for (const who of [grace, bob, carmen]) await move(who, 1)
      await ward.ownerQuery(
        `update sotto.session set ended_at = now(), end_reason = 'signed-out' where session_id = '${grace.ctx.sessionId}';
         update sotto.member set left_seq = 1000 where conversation_id = '${conversationId}' and user_id = '${carmen.userId}'`,
      )
      expect(await Promise.all([move(bob, 2), move(bob, 99), move(grace, 4), move(carmen, 4), move(bob, 3)])).toEqual([
        ...[[3, 1], 'conversations/cursor-ahead', 'identity/session-ended', 'access/not-found', [3, 1]],
      ])
      const cursors = await ward.operations.listCursors(alice.ctx, { conversationId })
      expect(cursors.items).toContainEqual({ userId: grace.userId, deliveredSeq: 1, readSeq: 1 })
    })
  })
})
