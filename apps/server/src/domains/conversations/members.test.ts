import { limitSpecs, type Conversation, type ConversationId, type Member, type UserId } from '@sotto/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { expectAct, openWard, type Clinic, type Person, type Ward } from './ward.testing.ts'

// addMember, removeMember, listMembers, listCursors and moveCursor, as people use them; what rotateKey does shows in what
// can be read after a removal.

type Page<T> = { readonly items: readonly T[]; readonly next: string | null }

describe.each(databaseKinds)('on %s', (kind) => {
  let ward: Ward
  let clinic: Clinic
  let alice: Person, grace: Person, bob: Person, carmen: Person, mallory: Person

  beforeAll(async () => {
    ward = await openWard(kind)
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    clinic = await ward.createClinic()
    ;({ alice, grace, bob, carmen, mallory } = clinic)
  })

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
      expect((await get(alice, conversationId)).can).not.toContain('member.leave')
      expect((await get(bob, conversationId)).can).toContain('member.leave')
      await add(alice, conversationId, [grace], 'manager')
      expect((await get(alice, conversationId)).can).toContain('member.leave')
      await add(alice, conversationId, [grace], 'participant')
      expect((await members(bob, conversationId)).find((one) => one.userId === grace.userId)?.memberRole).toBe(
        'manager',
      )
      expectAct(await ward.trail(clinic), alice, {
        action: 'member.add',
        subject: bob.userId,
        details: { promoted: [grace.userId], added: [] },
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
         on conflict do nothing;
         update sotto.conversation set member_count = ${max} where conversation_id = '${conversationId}'`,
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
        undefined,
        'Bob may read this',
        undefined,
        'Bob may not',
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
        action: 'member.remove',
        outcome: 'refused',
        code: 'no-such-member',
        subject: bob.userId,
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
        'Alice the nurse: clinician',
        'Bob the patient: patient',
        'Grace the doctor: clinician',
      ])
      expect(rest.next).toBeNull()
      expectAct(await ward.trail(clinic), bob, { action: 'member.list', subject: bob.userId, details: { members: 1 } })
    })

    test('a list that names other patients is recorded with each of them', async () => {
      const { conversationId } = await setUp()
      await add(alice, conversationId, [carmen])
      await ward.call(grace, 'listMembers', { conversationId, limit: 50 })
      const listed = await ward.trail(clinic, { action: 'member.list', actorUserId: grace.userId })
      expect(listed.map((event) => event.subjectUserId)).toEqual(expect.arrayContaining([bob.userId, carmen.userId]))
      expect(listed).toHaveLength(2)
      expect(listed.every((event) => event.resource?.id === conversationId)).toBe(true)
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
        action: 'cursor.move',
        outcome: 'refused',
        code: 'conversations/cursor-ahead',
        subject: bob.userId,
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
        [3, 1],
        'conversations/cursor-ahead',
        'identity/session-ended',
        'access/not-found',
        [3, 1],
      ])
      const cursors = await ward.operations.listCursors(alice.ctx, { conversationId })
      expect(cursors.items).toContainEqual({ userId: grace.userId, deliveredSeq: 1, readSeq: 1 })
    })
  })
})
