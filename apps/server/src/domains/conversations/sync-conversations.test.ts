import type { ConversationId, Sync } from '@sotto/protocol'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { expectAct, openWard, type Clinic, type Person, type Ward } from './ward.testing.ts'

describe.each(databaseKinds)('on %s: syncConversations', (kind) => {
  let ward: Ward
  let clinic: Clinic
  let alice: Person, bob: Person

  beforeAll(async () => {
    ward = await openWard(kind)
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    clinic = await ward.createClinic()
    ;({ alice, bob } = clinic)
  })

  async function sync(who: Person, token?: string, limit = 200): Promise<Sync> {
    await ward.nothingOlderRuns()
    return syncAmidst(who, token, limit)
  }
  const syncAmidst = (who: Person, token?: string, limit = 200): Promise<Sync> =>
    ward.commands.syncConversations(who.ctx, { limit, ...(token === undefined ? {} : { token }) })
  const idsOf = ({ changed }: Sync) => changed.map(({ conversationId }) => conversationId)

  /** Until nothing is left. @returns what was told, and the token to go on with */
  async function syncAll(who: Person, token?: string, limit = 200) {
    const changed: ConversationId[] = []
    const removed: ConversationId[] = []
    let last: Sync
    do {
      last = await sync(who, token, limit)
      changed.push(...idsOf(last))
      removed.push(...last.removed)
      token = last.token
    } while (last.more)
    return { changed, removed, token }
  }

  async function beginMany(count: number): Promise<readonly ConversationId[]> {
    const ids: ConversationId[] = []
    for (let done = 0; done < count; done += 20) {
      const some = Array.from({ length: Math.min(20, count - done) }, () => ward.begin(alice, [bob]))
      ids.push(...(await Promise.all(some)).map(({ conversationId }) => conversationId))
    }
    return ids
  }

  test(
    'of 300 conversations with one that changed, one is told, and one is recorded',
    { timeout: 120_000 },
    async () => {
      const ids = await beginMany(300)
      const first = await syncAll(bob)
      expect(new Set(first.changed)).toEqual(new Set(ids))
      const changed = ids[117]!
      await ward.say(alice, changed, 'only here')
      const next = await sync(bob, first.token)
      expect(idsOf(next)).toEqual([changed])
      expect(next).toMatchObject({ removed: [], more: false, changed: [{ lastSeq: 2, cursor: { unread: 1 } }] })
      const events = await ward.trail(clinic, { action: 'conversation.sync', resourceId: changed })
      expect(events.map(({ details }) => details)).toEqual([{ seq: 1 }, { seq: 2 }])
    },
  )

  test('a page has few when they are large, and the next pages have the rest', { timeout: 120_000 }, async () => {
    const ids = await beginMany(20)
    for (const conversationId of ids) await ward.say(alice, conversationId, 'x'.repeat(60_000))
    const first = await sync(bob)
    expect(first.more).toBe(true)
    expect(first.changed.length).toBeGreaterThan(1)
    expect(JSON.stringify(first).length).toBeLessThan(300_000)
    const events = await ward.trail(clinic, { action: 'conversation.sync' })
    expect(events.map(({ resource }) => resource!.id).toSorted()).toEqual(idsOf(first).toSorted())
    const rest = await syncAll(bob, first.token)
    expect(new Set([...idsOf(first), ...rest.changed])).toEqual(new Set(ids))
    expect(await sync(bob, rest.token)).toMatchObject({ changed: [], more: false })
  })

  test('nothing changed: nothing is told, and that somebody asked is recorded', async () => {
    await ward.begin(alice, [bob], { subjectUserId: bob.userId })
    const { token } = await syncAll(bob)
    const next = await ward.call(bob, 'syncConversations', { token })
    expect(next).toMatchObject({ status: 200, body: { changed: [], removed: [], more: false } })
    const events = await ward.trail(clinic)
    expectAct(events, bob, { action: 'conversation.sync', details: { conversations: 0 } })
    expectAct(events, bob, { action: 'conversation.sync', subject: bob.userId, details: { seq: 1 } })
  })

  test('pages follow one another without a gap, also when things change while one turns them', async () => {
    const ids = await beginMany(7)
    const one = await sync(bob, undefined, 3)
    expect([one.changed.length, one.more]).toEqual([3, true])
    // One that was told, one that was not, and one that is new.
    await ward.say(alice, idsOf(one)[0]!, 'changed behind the page')
    const later = ids.find((id) => !idsOf(one).includes(id))!
    await ward.say(alice, later, 'changed ahead of the page')
    const { conversationId: fresh } = await ward.begin(alice, [bob])
    const rest = await syncAll(bob, one.token, 3)
    expect(new Set([...idsOf(one), ...rest.changed])).toEqual(new Set([...ids, fresh]))
    const seen = await syncAll(bob, rest.token)
    const told = [...rest.changed, ...seen.changed]
    for (const id of [idsOf(one)[0]!, later, fresh]) expect(told).toContain(id)
    expect((await syncAll(bob, seen.token)).changed).toEqual([])
  })

  test('whatever changes is told: messages, cursors, titles, members', async () => {
    const { conversationId } = await ward.begin(alice, [bob])
    let { token } = await syncAll(bob)
    const acts = [
      () => ward.say(alice, conversationId, 'a message'),
      () => ward.commands.moveCursor(bob.ctx, { conversationId, readSeq: 2 }),
      () => ward.operations.updateConversation(alice.ctx, { conversationId, title: 'A title' }),
      () => ward.operations.updateConversation(alice.ctx, { conversationId, closed: true }),
      () => ward.operations.updateConversation(alice.ctx, { conversationId, closed: false }),
      () =>
        ward.operations.addMember(alice.ctx, { conversationId, userIds: [clinic.grace.userId], memberRole: 'manager' }),
      () => ward.operations.removeMember(alice.ctx, { conversationId, userId: alice.userId }),
    ]
    for (const act of acts) {
      await act()
      const next = await syncAll(bob, token)
      expect(next.changed).toEqual([conversationId])
      token = next.token
    }
  })

  test('who was removed is told so once, and of nothing that happens there later; who comes back is told anew', async () => {
    const { conversationId } = await ward.begin(alice, [bob, clinic.grace], { history: 'since-join' })
    const other = await ward.begin(alice, [bob])
    let { token } = await syncAll(bob)
    await ward.operations.removeMember(alice.ctx, { conversationId, userId: bob.userId })
    const gone = await syncAll(bob, token)
    expect([gone.changed, gone.removed]).toEqual([[], [conversationId]])
    token = gone.token
    await ward.say(alice, conversationId, 'behind Bob’s back')
    expect(await syncAll(bob, token)).toMatchObject({ changed: [], removed: [] })
    await ward.operations.addMember(alice.ctx, { conversationId, userIds: [bob.userId], memberRole: 'participant' })
    const back = await sync(bob, token)
    expect(back).toMatchObject({
      removed: [],
      changed: [{ conversationId, cursor: { unread: 0 }, firstVisibleSeq: 4 }],
    })
    // A device that never synced knows of none that could have ended.
    await ward.operations.removeMember(alice.ctx, { conversationId, userId: bob.userId })
    expect(await syncAll(bob)).toMatchObject({ changed: [other.conversationId], removed: [] })
  })

  test('a token of another deployment, or of a database that went back in time, is answered by "sync anew"', async () => {
    const { token } = await syncAll(bob)
    const content = JSON.parse(Buffer.from(token, 'base64url').toString()) as Record<string, unknown>
    const forge = (changes: object) => Buffer.from(JSON.stringify({ ...content, ...changes })).toString('base64url')
    const elsewhere = forge({ deployment: '00000000-0000-4000-8000-000000000000' })
    const future = forge({ since: Number(content['since']) + 1_000_000 })
    for (const bad of [elsewhere, future]) {
      const body = await ward.refused(bob, 'syncConversations', { token: bad }, 'conversations/sync-expired')
      expect(body).toMatchObject({ status: 410, retry: 'after-sync' })
    }
    const events = await ward.trail(clinic, { outcome: 'refused' })
    expect(events.map(({ action, code }) => [action, code])).toEqual(
      [elsewhere, future].map(() => ['conversation.sync', 'conversations/sync-expired']),
    )
  })

  test('what is not a token at all is invalid input', async () => {
    const forge = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const { token } = await syncAll(bob)
    const content = JSON.parse(Buffer.from(token, 'base64url').toString()) as Record<string, unknown>
    const garbage = [
      '',
      'garbage',
      '{}',
      token.slice(2),
      forge(null),
      forge({ since: 1 }),
      forge({ ...content, since: -1 }),
      forge({ ...content, since: 1.5 }),
      forge({ ...content, more: 1 }),
      forge({ ...content, after: [1, "'; drop"] }),
    ]
    for (const bad of garbage) {
      const act = ward.commands.syncConversations(bob.ctx, { limit: 10, token: bad })
      await expect(act, bad).rejects.toMatchObject({ code: 'platform/invalid-input' })
    }
  })

  // The embedded engine has one connection: nothing can be under way beside it.
  test.each([kind].filter((one) => one === 'postgres'))(
    'on %s a transaction that began earlier and commits later is told by the next sync',
    async () => {
      const [slow, quick] = [await ward.begin(alice, [bob]), await ward.begin(alice, [bob])]
      let { token } = await syncAll(bob)
      const client = new pg.Client({ connectionString: ward.server.adminUrl! })
      await client.connect()
      await client.query('begin')
      await client.query(
        `update sotto.conversation set closed = true, change = sotto.this_change() where conversation_id = $1`,
        [slow.conversationId],
      )
      await ward.say(alice, quick.conversationId, 'begun later, committed first')
      const meanwhile = await syncAmidst(bob, token)
      expect(idsOf(meanwhile)).toEqual([quick.conversationId])
      token = meanwhile.token
      const again = await syncAmidst(bob, token)
      await client.query('commit')
      await client.end()
      const found = await sync(bob, again.token)
      expect(idsOf(found)).toContain(slow.conversationId)
      expect(found.changed.find((one) => one.conversationId === slow.conversationId)?.closed).toBe(true)
    },
  )
})
