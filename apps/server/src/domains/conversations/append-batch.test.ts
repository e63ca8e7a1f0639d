import type { ConversationId, EntryId } from '@sotto/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { expectGapless, poisonEntries, readLog, sendOne, sendsIn } from './log.testing.ts'
import { openWard, outcomes, type Person, type Ward } from './ward.testing.ts'

describe.each(databaseKinds)('on %s', (kind) => {
  let ward: Ward

  beforeAll(async () => {
    ward = await openWard(kind)
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })

  const send = (who: Person, conversationId: ConversationId, entryId: EntryId, text: string, urgent = false) =>
    sendOne(ward, who, { conversationId, entryId, text, urgent })

  test('one bad item never stops its neighbours of the same batch', async () => {
    const clinic = await ward.createClinic()
    const { alice, grace, bob, carmen, mallory } = clinic
    const open = await ward.begin(alice, [grace, bob, carmen, mallory], { subjectUserId: bob.userId })
    const closed = await ward.begin(alice, [bob])
    const known = await ward.say(alice, open.conversationId, 'known before')
    // Everybody's decision is kept; then what it rests on changes behind the server's back.
    for (const who of [grace, bob, carmen, mallory]) await ward.say(who, open.conversationId, 'a decision to keep')
    await ward.say(bob, closed.conversationId, 'a decision to keep')
    const { sessionId } = grace.ctx
    await ward.ownerQuery(
      `update sotto.session set ended_at = now(), end_reason = 'signed-out' where session_id = '${sessionId}';
       update sotto.member set left_seq = 1000 where conversation_id = '${open.conversationId}' and user_id = '${carmen.userId}';
       update sotto.conversation set closed = true where conversation_id = '${closed.conversationId}';`,
    )
    const poison = await poisonEntries(ward)
    const id = () => ward.ids.next<EntryId>()
    const before = sendsIn(await ward.trail(clinic)).length
    const answers = await outcomes([
      send(alice, open.conversationId, id(), 'one'),
      send(grace, open.conversationId, id(), 'from an ended session'),
      send(bob, open.conversationId, id(), 'two'),
      send(carmen, open.conversationId, id(), 'from one who was removed'),
      send(bob, closed.conversationId, id(), 'into a closed conversation'),
      send(mallory, open.conversationId, id(), 'what the database refuses', true),
      send(alice, open.conversationId, known.entryId, 'known before'),
      send(alice, open.conversationId, known.entryId, 'another text under the id'),
      send(bob, open.conversationId, known.entryId, 'another device under the id'),
      send(mallory, open.conversationId, id(), 'three'),
    ])
    await poison[Symbol.asyncDispose]()
    const seqs = answers.map((answer) => (typeof answer === 'string' ? answer : answer.seq))
    const next = known.seq + 5
    expect(seqs).toEqual([
      next,
      'identity/session-ended',
      next + 1,
      'access/not-found',
      'conversations/closed',
      'StatementFailed',
      known.seq,
      'messages/entry-conflict',
      'messages/entry-conflict',
      next + 2,
    ])
    expectGapless(await readLog(ward, alice, open.conversationId))

    const events = sendsIn(await ward.trail(clinic)).slice(before)
    const told = events.map((event) => [event.actor.userId, event.outcome, event.code, event.subjectUserId])
    const subject = bob.userId
    expect(told).toHaveLength(9)
    for (const [who, outcome, code, about] of [
      [alice, 'success', null, subject],
      [grace, 'refused', 'identity/session-ended', subject],
      [bob, 'success', null, subject],
      [carmen, 'refused', 'not-a-member', subject],
      [bob, 'refused', 'conversations/closed', null],
      [alice, 'refused', 'messages/entry-conflict', subject],
      [bob, 'refused', 'entry-of-another', subject],
      [mallory, 'success', null, subject],
    ] as const)
      expect(told).toContainEqual([(who as Person).userId, outcome, code, about])
    const repeat = events.find((event) => event.details['repeat'] === true)
    expect(repeat).toMatchObject({ outcome: 'success', details: { entryId: known.entryId, seq: known.seq } })
  })

  test('a large batch is written in parts, and a part that the database refuses takes nobody else of it', async () => {
    const clinics = await Promise.all([ward.createClinic(), ward.createClinic()])
    const rooms = await Promise.all(clinics.map(({ alice, bob }) => ward.begin(alice, [bob])))
    for (const [index, { alice }] of clinics.entries()) await ward.say(alice, rooms[index]!.conversationId, 'before')
    const poison = await poisonEntries(ward)
    const sends = clinics.map(({ alice }, clinic) =>
      Array.from({ length: 120 }, (_, index) =>
        send(alice, rooms[clinic]!.conversationId, ward.ids.next<EntryId>(), `${index}`, clinic === 0 && index === 5),
      ),
    )
    const answers = await Promise.all(sends.map((acts) => outcomes(acts)))
    await poison[Symbol.asyncDispose]()
    for (const [index, clinic] of clinics.entries()) {
      const refused = answers[index]!.filter((answer) => typeof answer === 'string')
      expect(refused).toEqual(index === 0 ? ['StatementFailed'] : [])
      const log = await readLog(ward, clinic.alice, rooms[index]!.conversationId)
      expectGapless(log)
      expect(log).toHaveLength(2 + 120 - refused.length)
      expect(sendsIn(await ward.trail(clinic))).toHaveLength(1 + 120 - refused.length)
    }
  })
})
