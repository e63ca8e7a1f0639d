import type { AuditEvent } from '@sotto/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { loadConfig, openKeyring } from '../../main/index.ts'
import { systemClock } from '../../platform/time/clock.ts'
import { openWard, type Clinic, type Person, type Ward } from '../conversations/ward.testing.ts'
import { KEY_FRESH_MS_MAX } from '../keys/key-cache.ts'

// What goes on about a patient whose key was destroyed.

describe.each(databaseKinds)('on %s: after Bob was erased', (kind) => {
  let passedMs = 0
  let ward: Ward
  let clinic: Clinic
  let alice: Person, grace: Person, bob: Person, carmen: Person, ada: Person, cora: Person
  /** Also about Bob, without him. */
  let group: Awaited<ReturnType<Ward['begin']>>['conversationId']
  let before: readonly AuditEvent[]
  let conversationId: Awaited<ReturnType<Ward['begin']>>['conversationId']

  const about = (subject: Person) => ward.trail(clinic, { subjectUserId: subject.userId })
  const told = (events: readonly AuditEvent[]) => events.map(({ action, outcome }) => `${action} ${outcome}`)
  const since = async () => (await about(bob)).slice(before.length)

  beforeAll(async () => {
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + passedMs }
    ward = await openWard(kind, { clock })
    clinic = await ward.createClinic()
    ;({ alice, grace, bob, carmen, ada, cora } = clinic)
    ;({ conversationId } = await ward.begin(alice, [bob], { title: 'Knee', subjectUserId: bob.userId }))
    group = (await ward.begin(alice, [grace], { subjectUserId: bob.userId })).conversationId
    await ward.say(alice, conversationId, 'about Bob')
    before = await about(bob)
    expect(before.at(-1)).toMatchObject({ action: 'message.send', actor: { userId: alice.userId } })
    const keyring = await openKeyring(loadConfig(ward.server.env), { mayCreate: false })
    await keyring.destroySubjectKey(alice.ctx.tenantId, bob.userId)
    // By then no process has the key any more.
    passedMs += KEY_FRESH_MS_MAX
  })
  afterAll(() => ward[Symbol.asyncDispose]())

  test('what is done about him is done, recorded with him as its subject, found by him, and read', async () => {
    expect((await ward.call(alice, 'getConversation', { conversationId })).body).toMatchObject({ title: null })
    expect((await ward.call(alice, 'listEntries', { conversationId })).status).toBe(200)
    expect((await ward.call(ada, 'createSignInLink', { userId: bob.userId })).status).toBe(201)
    expect((await ward.call(ada, 'updateUser', { userId: bob.userId, active: false })).status).toBe(200)
    const events = await since()
    expect(told(events)).toEqual([
      'conversation.get success',
      'entry.list success',
      'sign-in-link.create success',
      'user.update success',
    ])
    expect(events.map(({ actor }) => actor.userId)).toEqual([alice, alice, ada, ada].map(({ userId }) => userId))
    expect(events.every(({ subjectUserId, details }) => subjectUserId === bob.userId && !('erased' in details))).toBe(
      true,
    )
    const one = await ward.call(cora, 'getAuditEvent', { auditEventId: events[0]!.auditEventId })
    expect(one.body).toEqual(events[0])
  })

  test('what cannot be done without his key is refused for that reason, and the refusal is recorded', async () => {
    const entry = {
      conversationId,
      entryId: ward.ids.next<string>(),
      payload: { v: 1, type: 'text', text: 'too late' },
    }
    await ward.refused(alice, 'sendMessage', entry, 'keys/unreadable')
    await ward.refused(clinic.mallory, 'getConversation', { conversationId }, 'access/not-found')
    const refusals = await ward.trail(clinic, { resourceId: conversationId, outcome: 'refused' })
    expect(refusals.map(({ action, code }) => [action, code])).toEqual([
      ['message.send', 'keys/unreadable'],
      ['conversation.get', 'not-a-member'],
    ])
    expect(refusals[1]).toMatchObject({ subjectUserId: bob.userId })
  })

  test('his conversation is closed, and left; what says so in the log has its place and no words', async () => {
    const { body: closed } = await ward.call(alice, 'updateConversation', { conversationId: group, closed: true })
    expect(closed).toMatchObject({ closed: true })
    expect((await ward.call(grace, 'removeMember', { conversationId: group, userId: grace.userId })).status).toBe(204)
    const { body } = await ward.call(alice, 'listEntries', { conversationId: group })
    const { items } = body as { items: { seq: number; payload: { type: string } }[] }
    expect(items.map(({ seq, payload }) => [seq, payload.type])).toEqual([
      [1, 'erased'],
      [2, 'erased'],
      [3, 'erased'],
    ])
  })

  test('what was recorded before stays unreadable', async () => {
    const events = (await about(bob)).slice(0, before.length)
    expect(told(events)).toEqual(told(before))
    for (const event of events) {
      expect(event).toMatchObject({ details: { erased: true }, subjectUserId: null, resource: null })
      expect(event.actor.userId).toBeNull()
    }
  })

  test('what is recorded about another patient still takes that patient’s key', async () => {
    await ward.call(ada, 'createSignInLink', { userId: carmen.userId })
    const events = await about(carmen)
    const rows = await ward.ownerQuery(`select subject_user_id from sotto.audit_body where audit_event_id = $1`, [
      events.at(-1)!.auditEventId,
    ])
    expect(rows).toEqual([{ subject_user_id: carmen.userId }])
  })

  test('a key that is away for another reason is no erasure: nothing is recorded under a lesser one', async () => {
    await ward.ownerQuery(`update sotto.audit_key set state = 'disabled' where tenant_id = $1 and bucket >= 0`, [
      alice.ctx.tenantId,
    ])
    passedMs += KEY_FRESH_MS_MAX
    const asked = await ward.call(ada, 'createSignInLink', { userId: carmen.userId })
    expect(asked).toMatchObject({ status: 410, body: { code: 'keys/unreadable' } })
  })
})
