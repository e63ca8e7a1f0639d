import type { AuditEvent, ConversationId } from '@sotto/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { openTestSocket } from '../../../../../packages/testkit/src/test-socket.ts'
import { createDeliveries, NODE_DEAD_AFTER_MS } from './deliveries.ts'
import { openWard, type Clinic, type Person, type Ward } from './ward.testing.ts'
import { instant } from '../../platform/time/clock.ts'

describe.each(databaseKinds)('on %s', (kind) => {
  let ward: Ward
  let clinic: Clinic
  let alice: Person, bob: Person, mallory: Person

  beforeAll(async () => {
    ward = await openWard(kind)
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    clinic = await ward.createClinic()
    ;({ alice, bob, mallory } = clinic)
  })

  const deliveriesIn = async (conversationId: ConversationId) =>
    (await ward.trail(clinic, { resourceId: conversationId })).filter(({ action }) => action.startsWith('delivery.'))
  const summary = ({ action, actor, details }: AuditEvent) => [
    action,
    actor.userId,
    details['fromSeq'],
    details['lastSeq'],
  ]

  /** A node of the same deployment that shares the database and nothing else, and whose clock is the test's. */
  function startNode(pass: { ms: number } = { ms: 0 }) {
    const { db, bus, log, sealer, keys, identity, audit, ids, clock } = ward.composition
    const node = {
      db,
      bus,
      log,
      sealer,
      keys,
      ids,
      nodeId: ids.next<string>(),
      findLiveSessions: identity.findLiveSessions,
      recordAuditItems: audit.recordItems,
      clock: { now: () => instant(clock.now() + pass.ms), monotonicMs: clock.monotonicMs },
    }
    return createDeliveries(node)
  }

  test('a subscription is recorded before the first byte, and closed with the last seq delivered', async () => {
    const { conversationId } = await ward.begin(alice, [bob], { subjectUserId: bob.userId })
    const socket = await openTestSocket(ward.url, bob.accessToken)
    await socket.command('conversation.sync', {})
    await ward.say(alice, conversationId, 'one')
    await socket.next('entry', ({ entry }) => entry.seq === 2)
    // What the socket has received was recorded before: the record is there when the first frame is.
    const [opened] = await deliveriesIn(conversationId)
    expect(opened).toMatchObject({ action: 'delivery.open', subjectUserId: bob.userId, details: { fromSeq: 2 } })
    expect(opened!.actor).toMatchObject({ userId: bob.userId, deviceId: bob.ctx.deviceId, address: '127.0.0.1' })
    await ward.say(alice, conversationId, 'two')
    await ward.say(alice, conversationId, 'three')
    await socket.next('entry', ({ entry }) => entry.seq === 4)
    socket.close()
    await socket.closed
    await expect.poll(() => deliveriesIn(conversationId).then((events) => events.length)).toBe(2)
    const [, closed] = await deliveriesIn(conversationId)
    expect(closed).toMatchObject({
      action: 'delivery.close',
      subjectUserId: bob.userId,
      actor: { userId: bob.userId },
      details: { fromSeq: 2, lastSeq: 4, interrupted: false, deliveryId: opened!.details['deliveryId']! },
    })
  })

  test('who is no member gets no subscription', async () => {
    const { conversationId } = await ward.begin(alice, [bob])
    const node = startNode()
    expect(await node.open(mallory.ctx, conversationId, 1)).toBeUndefined()
    expect(await node.open(bob.ctx, ward.ids.next<ConversationId>(), 1)).toBeUndefined()
    expect(await deliveriesIn(conversationId)).toEqual([])
  })

  test('many are opened at once, each for itself, also of two clinics', async () => {
    const other = await ward.createClinic()
    const own = await ward.begin(alice, [bob])
    const foreign = await ward.begin(other.alice, [other.bob])
    const node = startNode()
    const opened = await Promise.all([
      node.open(alice.ctx, own.conversationId, 1),
      node.open(other.bob.ctx, foreign.conversationId, 1),
      node.open(bob.ctx, foreign.conversationId, 1),
      node.open(bob.ctx, own.conversationId, 1),
    ])
    expect(opened.map((id) => id !== undefined)).toEqual([true, true, false, true])
    expect((await deliveriesIn(own.conversationId)).map(({ actor }) => String(actor.userId)).toSorted()).toEqual(
      [alice.userId, bob.userId].toSorted(),
    )
  })

  test('what a killed node left open is closed by another one as interrupted, with all there was as its bound', async () => {
    const { conversationId } = await ward.begin(alice, [bob], { subjectUserId: bob.userId })
    const killed = startNode()
    await killed.sweep()
    const deliveryId = await killed.open(bob.ctx, conversationId, 1)
    await ward.say(alice, conversationId, 'delivered or not, nobody knows')
    const pass = { ms: 0 }
    const other = startNode(pass)
    // While it may live it is left alone.
    await other.sweep()
    expect(await deliveriesIn(conversationId)).toHaveLength(1)
    pass.ms = NODE_DEAD_AFTER_MS + 1_000
    await other.sweep()
    await other.sweep()
    const [, closed, ...rest] = await deliveriesIn(conversationId)
    expect(rest).toEqual([])
    expect(closed).toMatchObject({
      action: 'delivery.close',
      actor: { userId: null },
      subjectUserId: bob.userId,
      purpose: 'HSYSADMIN',
      details: {
        deliveryId,
        fromSeq: 1,
        lastSeq: 2,
        interrupted: true,
        userId: bob.userId,
        deviceId: bob.ctx.deviceId,
      },
    })
    // The node that runs this very test has not been taken for dead by a clock that is a minute ahead of it.
    await ward.composition.deliveries.sweep()
  })

  test('it is closed once, whoever closes it', async () => {
    const { conversationId } = await ward.begin(alice, [bob])
    const node = startNode()
    const deliveryId = (await node.open(bob.ctx, conversationId, 1))!
    const closing = [{ ctx: bob.ctx, deliveryId, lastSeq: 1 }]
    await node.close(bob.ctx.tenantId, closing)
    await node.close(bob.ctx.tenantId, [{ ...closing[0]!, lastSeq: 99 }])
    expect((await deliveriesIn(conversationId)).map(summary)).toEqual([
      ['delivery.open', bob.userId, 1, undefined],
      ['delivery.close', bob.userId, 1, 1],
    ])
  })

  test('what has served its time is forgotten: closed deliveries after a day, keys of repeats after thirty', async () => {
    const { conversationId } = await ward.begin(alice, [bob])
    const sent = await ward.say(alice, conversationId, 'an old one')
    await ward.say(alice, conversationId, 'a new one')
    const node = startNode()
    const old = (await node.open(bob.ctx, conversationId, 1))!
    const fresh = (await node.open(bob.ctx, conversationId, 1))!
    const closing = [old, fresh].map((deliveryId) => ({ ctx: bob.ctx, deliveryId, lastSeq: 1 }))
    await node.close(bob.ctx.tenantId, closing)
    await ward.ownerQuery(
      `update sotto.delivery set closed_at = now() - interval '25 hours' where delivery_id = '${old}';
       update sotto.entry_idempotency set created_at = now() - interval '31 days' where entry_id = '${sent.entryId}'`,
    )
    await node.purgeExpired()
    const left = await ward.ownerQuery(
      `select (select count(*) from sotto.delivery where conversation_id = $1)::int as deliveries,
         (select count(*) from sotto.entry_idempotency where conversation_id = $1)::int as keys,
         (select count(*) from sotto.entry where conversation_id = $1)::int as entries`,
      [conversationId],
    )
    expect(left).toEqual([{ deliveries: 1, keys: 1, entries: 3 }])
    // Even then a place is not taken twice.
    await expect(ward.say(alice, conversationId, 'an old one', sent.entryId)).rejects.toMatchObject({
      code: 'messages/entry-conflict',
    })
  })
})
