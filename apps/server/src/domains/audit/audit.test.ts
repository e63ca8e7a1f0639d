import type { AuditEvent, ConversationId } from '@sotto/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { anonymous, type Ctx } from '../../platform/context/context.ts'
import { instant } from '../../platform/time/clock.ts'
import { expectAct, openWard, type Clinic, type Person, type Ward } from '../conversations/ward.testing.ts'
import { createAudit } from './audit.ts'
import { FLOOD_RESOURCES_MAX, REFUSAL_WINDOW_MS, REFUSALS_SINGLE_MAX, type Refusal } from './refusals.ts'

// listAuditEvents, getAuditEvent and listAuditEventsAsOperator; createAudit with createRefusals in it.

describe.each(databaseKinds)('on %s', (kind) => {
  let ward: Ward
  let clinic: Clinic
  let alice: Person, bob: Person, cora: Person, mallory: Person

  beforeAll(async () => {
    ward = await openWard(kind)
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    clinic = await ward.createClinic()
    ;({ alice, bob, cora, mallory } = clinic)
  })

  describe('searching the trail', () => {
    test('the compliance officer finds who did what about whom, by each of its sides', async () => {
      const from = new Date(ward.composition.clock.now()).toISOString()
      const { conversationId } = await ward.begin(alice, [bob], { subjectUserId: bob.userId })
      await ward.say(bob, conversationId, 'hello')
      await ward.refused(mallory, 'getConversation', { conversationId }, 'access/not-found')
      const find = async (filter: Parameters<Ward['trail']>[1]) =>
        (await ward.trail(clinic, { from, ...filter })).map(({ action, outcome }) => `${action} ${outcome}`)
      const all = ['conversation.create success', 'message.send success', 'conversation.get refused']
      expect(await find({ subjectUserId: bob.userId })).toEqual(all)
      expect(await find({ resourceId: conversationId })).toEqual(all)
      expect(await find({ actorUserId: bob.userId })).toEqual(['message.send success'])
      expect(await find({ outcome: 'refused' })).toEqual(['conversation.get refused'])
      expect(await find({ action: 'message.send' })).toEqual(['message.send success'])
      expect(await find({ to: from, subjectUserId: bob.userId })).toEqual([])
      expect(await find({ actorUserId: alice.userId, action: 'message.send' })).toEqual([])
    })

    test('a search is an act: who looked for whom stands in the trail before anything is told', async () => {
      await ward.call(cora, 'listAuditEvents', { subjectUserId: bob.userId, action: 'message.send' })
      const { items } = await ward.operations.listAuditEvents(cora.ctx, { limit: 5, action: 'audit-event.list' })
      expect(items[0]).toMatchObject({
        action: 'audit-event.list',
        subjectUserId: bob.userId,
        purpose: 'HCOMPL',
        actor: { userId: cora.userId, role: 'compliance-officer', address: '127.0.0.1' },
        details: { action: 'message.send', events: 0 },
      })
      const one = items[0]!.auditEventId
      expect((await ward.call(cora, 'getAuditEvent', { auditEventId: one })).body).toEqual(items[0])
      expectAct(await ward.trail(clinic), cora, { action: 'audit-event.get', subject: bob.userId, resourceId: one })
    })

    test('a search for somebody without a key of their own is made, and recorded under that of the tenant', async () => {
      for (const subjectUserId of [alice.userId, ward.composition.ids.next<typeof alice.userId>()]) {
        const answer = await ward.call(cora, 'listAuditEvents', { subjectUserId })
        expect([answer.status, answer.body]).toEqual([200, { items: [], next: null }])
        const { items } = await ward.operations.listAuditEvents(cora.ctx, { limit: 1, action: 'audit-event.list' })
        expect(items[0]).toMatchObject({ subjectUserId, details: { events: 0 } })
        expect(await ward.trail(clinic, { subjectUserId })).toEqual([])
        const found = await ward.operations.listAuditEvents(cora.ctx, { limit: 10, subjectUserId })
        expect(found.items).toContainEqual(items[0])
      }
    })

    test('pages follow one another, newest first, without a gap, also where many events share a millisecond', async () => {
      const { conversationId } = await ward.begin(alice, [bob])
      await Promise.all(Array.from({ length: 30 }, (_, index) => ward.say(alice, conversationId, `${index}`)))
      const seen: string[] = []
      let after: string | null | undefined
      do {
        const input = { limit: 7, action: 'message.send', ...(after ? { after } : {}) }
        const page = (await ward.call(cora, 'listAuditEvents', input)).body as {
          items: AuditEvent[]
          next: string | null
        }
        seen.push(...page.items.map(({ auditEventId }) => auditEventId))
        after = page.next
      } while (after !== null)
      expect(new Set(seen).size).toBe(30)
      const whole = await ward.trail(clinic, { action: 'message.send' })
      expect(seen.toReversed()).toEqual(whole.map(({ auditEventId }) => auditEventId))
      await ward.refused(cora, 'listAuditEvents', { after: 'the end' }, 'platform/invalid-input')
    })

    test('nobody else searches, and nobody finds another clinic’s events', async () => {
      const other = await ward.createClinic()
      const [foreign] = await ward.trail(other, { limit: 1 })
      for (const who of [alice, bob, clinic.ada, clinic.robot]) {
        await ward.refused(who, 'listAuditEvents', {}, 'access/denied')
        await ward.refused(who, 'getAuditEvent', { auditEventId: foreign!.auditEventId }, 'access/denied')
        const events = await ward.trail(clinic, { outcome: 'refused', actorUserId: who.userId })
        expect(events.map(({ action, code }) => [action, code])).toEqual([
          ['audit-event.list', 'access/denied'],
          ['audit-event.get', 'access/denied'],
        ])
      }
      await ward.refused(cora, 'getAuditEvent', { auditEventId: foreign!.auditEventId }, 'access/not-found')
      expect(await ward.trail(clinic, { resourceId: foreign!.resource?.id ?? 'nothing' })).toEqual([])
    })

    test('an operator at the command line finds the newest, and leaves a record, too', async () => {
      await ward.begin(alice, [bob])
      const { tenantId } = alice.ctx
      const origin = { requestId: 'cli-1', address: null }
      const query = { tenantId, action: 'conversation.create', outcome: undefined, limit: 5 } as const
      const found = await ward.composition.listAuditEventsAsOperator(origin, query)
      expect(found.map(({ action, actor }) => [action, actor.userId])).toEqual([['conversation.create', alice.userId]])
      const { items } = await ward.operations.listAuditEvents(cora.ctx, { limit: 1, action: 'audit-event.list' })
      expect(items[0]).toMatchObject({
        actor: { userId: null },
        requestId: 'cli-1',
        details: { operator: true, events: 1 },
      })
    })

    test('an event whose body was erased still stands, with its class, its outcome and its instant', async () => {
      const { conversationId } = await ward.begin(alice, [bob])
      const [event] = await ward.trail(clinic, { resourceId: conversationId })
      await ward.ownerQuery('delete from sotto.audit_body where audit_event_id = $1', [event!.auditEventId])
      const erased = await ward.operations.getAuditEvent(cora.ctx, { auditEventId: event!.auditEventId })
      const { auditEventId, at, action, outcome } = event!
      expect(erased).toMatchObject({ auditEventId, at, action, outcome, details: { erased: true }, resource: null })
      expect(erased.actor.userId).toBeNull()
    })
  })

  describe('refusals', () => {
    const refusal = (changes: Partial<Refusal> = {}): Refusal => ({
      action: 'entry.list',
      code: 'not-a-member',
      ...changes,
    })
    const on = (id: string) => ({ resource: { type: 'conversation', id } })

    /** The trail's own part with a clock of the test, and a database that can be taken away. */
    function startAudit() {
      const { random, ids, sealer, keys, db, clock } = ward.composition
      let passedMs = 0
      let isDown = false
      const audit = createAudit({
        random,
        ids,
        sealer,
        keys,
        clock: { now: () => instant(clock.now() + passedMs), monotonicMs: () => passedMs },
        db: {
          ...db,
          withTx: (scope, fn) => (isDown ? Promise.reject(new Error('the database is away')) : db.withTx(scope, fn)),
        },
      })
      return {
        audit,
        pass: (ms: number) => void (passedMs += ms),
        down: (value: boolean) => void (isDown = value),
      }
    }
    const counts = async (who: Person) =>
      (await ward.trail(clinic, { outcome: 'refused', actorUserId: who.userId })).map(({ count }) => count)

    test('a few are recorded one by one; a flood of equal ones becomes one record with a count', async () => {
      const { audit, pass } = startAudit()
      for (let index = 0; index < 100; index++) await audit.recordRefusal(mallory.ctx, refusal(on('one')))
      expect(await counts(mallory)).toEqual(Array(REFUSALS_SINGLE_MAX).fill(1))
      await audit.flushRefusals()
      expect(await counts(mallory)).toHaveLength(REFUSALS_SINGLE_MAX)
      pass(REFUSAL_WINDOW_MS)
      await audit.flushRefusals()
      await audit.flushRefusals()
      expect(await counts(mallory)).toEqual([...Array<number>(REFUSALS_SINGLE_MAX).fill(1), 100 - REFUSALS_SINGLE_MAX])
      const [last] = (await ward.trail(clinic, { outcome: 'refused' })).toReversed()
      expect(last).toMatchObject({ resource: on('one').resource, actor: { userId: mallory.userId }, details: {} })
    })

    test('the sum is right whatever comes when, from many at once', async () => {
      const { audit, pass } = startAudit()
      for (let round = 0; round < 4; round++) {
        await Promise.all(Array.from({ length: 23 }, () => audit.recordRefusal(mallory.ctx, refusal(on('one')))))
        pass(REFUSAL_WINDOW_MS * 0.7)
      }
      await audit.flushRefusals(true)
      expect((await counts(mallory)).reduce((sum, count) => sum + count, 0)).toBe(4 * 23)
    })

    test('a flood over many things names them; other people, acts and reasons are floods of their own', async () => {
      const { audit } = startAudit()
      for (let index = 0; index < 80; index++) {
        await audit.recordRefusal(mallory.ctx, refusal(on(`thing ${index}`)))
        if (index < 3) await audit.recordRefusal(bob.ctx, refusal(on('one')))
        if (index < 2) await audit.recordRefusal(mallory.ctx, refusal({ code: 'another-reason' }))
      }
      await audit.flushRefusals(true)
      expect(await counts(bob)).toEqual([1, 1, 1])
      const events = await ward.trail(clinic, { outcome: 'refused', actorUserId: mallory.userId })
      const flood = events.find(({ count }) => count > 1)!
      expect(flood).toMatchObject({ code: 'not-a-member', count: 75, resource: null, subjectUserId: null })
      expect(flood.details['resources']).toHaveLength(FLOOD_RESOURCES_MAX)
      expect(flood.details['resources']).toContain('thing 5')
      expect(events.filter(({ code }) => code === 'another-reason')).toHaveLength(2)
    })

    test('whoever may choose among the addresses of a network is one flood', async () => {
      const { audit } = startAudit()
      const code = `reason-${ward.ids.next<string>()}`
      for (let index = 0; index < 4 * REFUSALS_SINGLE_MAX; index++) {
        const ctx = anonymous({ requestId: 'r', address: `2001:db8:1:2::${index.toString(16)}` }, alice.ctx.tenantId)
        await audit.recordRefusal(ctx, refusal({ code }))
      }
      await audit.flushRefusals(true)
      const events = (await ward.trail(clinic, { outcome: 'refused' })).filter((event) => event.code === code)
      // Those of one millisecond are told in the order of their ids, which two sources draw by chance.
      expect(events.map(({ count }) => count).toSorted((a, b) => a - b)).toEqual([
        ...Array<number>(REFUSALS_SINGLE_MAX).fill(1),
        3 * REFUSALS_SINGLE_MAX,
      ])
    })

    test('about one patient it says so; about several it does not guess', async () => {
      const { audit } = startAudit()
      for (let index = 0; index < 10; index++)
        await audit.recordRefusal(mallory.ctx, refusal({ ...on('one'), subjectUserId: bob.userId }))
      await audit.flushRefusals(true)
      const events = await ward.trail(clinic, { outcome: 'refused', subjectUserId: bob.userId })
      expect(events.map(({ count }) => count).toSorted((a, b) => a - b)).toEqual([1, 1, 1, 1, 1, 5])
    })

    test('what cannot be recorded is not refused but unavailable, and no count is lost', async () => {
      const { audit, pass, down } = startAudit()
      down(true)
      for (let index = 0; index < 9; index++)
        await expect(audit.recordRefusal(mallory.ctx, refusal(on('one')))).rejects.toThrow('away')
      down(false)
      for (let index = 0; index < 12; index++) await audit.recordRefusal(mallory.ctx, refusal(on('one')))
      pass(REFUSAL_WINDOW_MS)
      down(true)
      await expect(audit.flushRefusals()).rejects.toThrow('away')
      await expect(audit.flushRefusals(true)).rejects.toThrow('away')
      down(false)
      await audit.recordRefusal(mallory.ctx, refusal(on('one')))
      await audit.flushRefusals(true)
      expect((await counts(mallory)).toSorted((a, b) => a - b)).toEqual([1, 1, 1, 1, 1, 1, 7])
    })

    test('before anybody is known they are told apart by their addresses, and stand in the deployment’s own trail', async () => {
      const { audit } = startAudit()
      const from = (address: string) => anonymous({ requestId: ward.ids.next<string>(), address })
      const code = `probe-${ward.ids.next<string>().slice(-8)}`
      for (let index = 0; index < 8; index++) await audit.recordRefusal(from('203.0.113.7'), refusal({ code }))
      await audit.recordRefusal(from('203.0.113.8'), refusal({ code }))
      await audit.flushRefusals(true)
      const query = { tenantId: undefined, action: undefined, outcome: 'refused', limit: 200 } as const
      const found = await ward.composition.listAuditEventsAsOperator({ requestId: 'cli', address: null }, query)
      const own = found.filter((event) => event.code === code).map(({ actor, count }) => `${actor.address} ${count}`)
      expect(own.toSorted()).toEqual([...Array<string>(5).fill('203.0.113.7 1'), '203.0.113.7 3', '203.0.113.8 1'])
    })
  })

  test('an act is recorded in its own tenant, or not at all', async () => {
    const other = await ward.createClinic()
    const { audit, db } = ward.composition
    const ctx: Ctx = other.alice.ctx
    const act = db.withTx({ role: 'app', tenantId: alice.ctx.tenantId }, (tx) =>
      audit.recordItems(tx, alice.ctx.tenantId, [{ ctx, record: { action: 'entry.list' } }]),
    )
    await expect(act).rejects.toThrow('in its own tenant')
    // The server's role adds to the trail; it cannot change or take away.
    for (const text of ['update audit_event set outcome = outcome', 'delete from audit_body', 'truncate audit_event']) {
      const attempt = db.withTx({ role: 'app', tenantId: alice.ctx.tenantId }, (tx) => tx.run({ name: text, text }))
      await expect(attempt).rejects.toMatchObject({ sqlState: '42501' })
    }
  })

  test('neither who, whom nor what can be read or compared across clinics in the rows of the trail', async () => {
    const { conversationId } = await ward.begin(alice, [bob], { subjectUserId: bob.userId })
    const rows =
      await ward.ownerQuery(`select e::text || b::text as row from sotto.audit_event e join sotto.audit_body b using (audit_event_id)
      where e.tenant_id = '${alice.ctx.tenantId}' and e.class = 'conversation.create'`)
    expect(rows).toHaveLength(1)
    for (const id of [alice.userId, conversationId as ConversationId]) expect(String(rows[0]!['row'])).not.toContain(id)
  })
})
