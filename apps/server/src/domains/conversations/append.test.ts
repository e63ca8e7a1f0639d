import type { AuditEvent, ConversationId, EntryId, Sent } from '@sotto/protocol'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { isLong, openWard, outcomes, type Clinic, type Person, type Ward } from './ward.testing.ts'

const SEED = Number(process.env['SOTTO_TEST_SEED'] ?? Math.trunc(performance.timeOrigin) % 2 ** 31)
const RUNS = isLong ? 60 : 6

describe.each(databaseKinds)('on %s', (kind) => {
  let ward: Ward

  beforeAll(async () => {
    ward = await openWard(kind)
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })

  function send(who: Person, conversationId: ConversationId, entryId: EntryId, text: string, urgent = false) {
    return ward.commands.sendMessage(who.ctx, {
      conversationId,
      entryId,
      payload: { v: 1, type: 'text', text },
      header: { priority: urgent ? 'critical' : 'routine', notify: 'normal' },
    })
  }

  async function readLog(who: Person, conversationId: ConversationId) {
    const items: { seq: number; countable: number; entryId: EntryId; header: { counts: boolean } }[] = []
    for (;;) {
      const input = { conversationId, afterSeq: items.at(-1)?.seq ?? 0, limit: 200 }
      const page = (await ward.operations.listEntries(who.ctx, input)) as { items: typeof items }
      items.push(...page.items)
      if (page.items.length < 200) return items
    }
  }

  /** 1, 2, 3 … without a gap, and a countable number that rises with exactly the entries that count. */
  function expectGapless(log: Awaited<ReturnType<typeof readLog>>): void {
    let countable = 0
    log.forEach((entry, index) => {
      countable += entry.header.counts ? 1 : 0
      expect([entry.seq, entry.countable]).toEqual([index + 1, countable])
    })
    expect(new Set(log.map(({ entryId }) => entryId)).size).toBe(log.length)
  }

  const sendsIn = (events: readonly AuditEvent[]) => events.filter(({ action }) => action === 'message.send')

  test(
    'many senders of two clinics append to several conversations at once, and each log is gapless',
    { timeout: 600_000 },
    async ({ task }) => {
      const clinics = await Promise.all([ward.createClinic(), ward.createClinic()])
      const rooms: { readonly clinic: Clinic; readonly conversationId: ConversationId }[] = []
      for (const clinic of clinics)
        for (let count = 0; count < 2; count++)
          rooms.push({ clinic, ...(await ward.begin(clinic.alice, [clinic.grace, clinic.bob, clinic.carmen])) })
      const plan = fc.array(
        fc.record({
          room: fc.nat(rooms.length - 1),
          who: fc.constantFrom(
            'alice' as const,
            'grace' as const,
            'bob' as const,
            'carmen' as const,
            'mallory' as const,
          ),
          /** How often the same send is made at the same moment, by an impatient device. */
          times: fc.integer({ min: 1, max: 3 }),
          otherBody: fc.boolean(),
          otherDevice: fc.boolean(),
        }),
        { minLength: 10, maxLength: 60 },
      )
      let sends = 0
      await fc.assert(
        fc.asyncProperty(plan, async (items) => {
          const earlier = await Promise.all(clinics.map(async (clinic) => sendsIn(await ward.trail(clinic)).length))
          const acts: { readonly act: Promise<Sent>; readonly clinic: Clinic }[] = []
          const checks: (() => Promise<void>)[] = []
          for (const { room, who, times, otherBody, otherDevice } of items) {
            const { clinic, conversationId } = rooms[room]!
            const entryId = ward.ids.next<EntryId>()
            const submit = (by: Person, text: string) => {
              const act = send(by, conversationId, entryId, text)
              acts.push({ act, clinic })
              return act
            }
            const same = outcomes(Array.from({ length: times }, () => submit(clinic[who], 'the same')))
            const other = outcomes(otherBody ? [submit(clinic[who], 'another')] : [])
            const foreign = outcomes(
              otherDevice ? [submit(clinic.alice === clinic[who] ? clinic.bob : clinic.alice, 'the same')] : [],
            )
            checks.push(async () => checkAnswers(who, await same, await other, await foreign))
          }
          await Promise.allSettled(acts.map(({ act }) => act))
          for (const check of checks) await check()
          for (const { clinic, conversationId } of rooms) expectGapless(await readLog(clinic.alice, conversationId))
          for (const [index, clinic] of clinics.entries()) {
            const recorded = sendsIn(await ward.trail(clinic)).length - earlier[index]!
            const made = acts.filter((one) => one.clinic === clinic)
            const refusedOutside = await countOutside(made.map(({ act }) => act))
            expect(recorded).toBe(made.length - refusedOutside)
          }
          sends += acts.length
        }),
        { seed: SEED, numRuns: RUNS, verbose: 1 },
      )
      task.meta.counts = { sends }
      task.meta.seed = SEED
    },
  )

  /** Mallory is no member, which is found before the appender; the edge records it. */
  async function countOutside(acts: readonly Promise<unknown>[]): Promise<number> {
    const settled = await Promise.allSettled(acts)
    return settled.filter((one) => one.status === 'rejected' && !(one.reason as { recorded: boolean }).recorded).length
  }

  function checkAnswers(
    who: string,
    same: readonly (Sent | string)[],
    other: readonly (Sent | string)[],
    foreign: readonly (Sent | string)[],
  ): void {
    if (who === 'mallory') {
      expect([...same, ...other].every((answer) => answer === 'access/not-found')).toBe(true)
      return
    }
    // Whoever was first took the place; who sent the same from the same device shares it, the others are told.
    const all = [...same, ...other, ...foreign]
    const places = all.filter((answer): answer is Sent => typeof answer !== 'string')
    expect(new Set(places.map(({ seq }) => seq)).size).toBe(1)
    const groups = [same, other, foreign].filter((group) => group.some((answer) => typeof answer !== 'string'))
    expect(groups).toHaveLength(1)
    expect(groups[0]!.every((answer) => typeof answer !== 'string')).toBe(true)
    expect(all.filter((answer) => typeof answer === 'string').every((code) => code === 'messages/entry-conflict')).toBe(
      true,
    )
  }

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
       update sotto.conversation set closed = true where conversation_id = '${closed.conversationId}';
       create function sotto.poison() returns trigger language plpgsql as $$
       begin
         if new.header ->> 'priority' = 'critical' then raise exception 'the database refuses this'; end if;
         return new;
       end $$;
       create trigger poison before insert on sotto.entry for each row execute function sotto.poison()`,
    )
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
    await ward.ownerQuery('drop function sotto.poison() cascade')
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
    expectGapless(await readLog(alice, open.conversationId))

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
    await ward.ownerQuery(
      `create function sotto.poison() returns trigger language plpgsql as $$
       begin
         if new.header ->> 'priority' = 'critical' then raise exception 'the database refuses this'; end if;
         return new;
       end $$;
       create trigger poison before insert on sotto.entry for each row execute function sotto.poison()`,
    )
    const sends = clinics.map(({ alice }, clinic) =>
      Array.from({ length: 120 }, (_, index) =>
        send(alice, rooms[clinic]!.conversationId, ward.ids.next<EntryId>(), `${index}`, clinic === 0 && index === 5),
      ),
    )
    const answers = await Promise.all(sends.map((acts) => outcomes(acts)))
    await ward.ownerQuery('drop function sotto.poison() cascade')
    for (const [index, clinic] of clinics.entries()) {
      const refused = answers[index]!.filter((answer) => typeof answer === 'string')
      expect(refused).toEqual(index === 0 ? ['StatementFailed'] : [])
      const log = await readLog(clinic.alice, rooms[index]!.conversationId)
      expectGapless(log)
      expect(log).toHaveLength(2 + 120 - refused.length)
      expect(sendsIn(await ward.trail(clinic))).toHaveLength(1 + 120 - refused.length)
    }
  })

  test('what was sealed under an old epoch is sealed again when a member was removed meanwhile', async () => {
    const { alice, bob, carmen } = await ward.createClinic()
    const { conversationId } = await ward.begin(alice, [bob, carmen])
    await ward.say(alice, conversationId, 'under the first epoch')
    const acts = [
      ward.operations.removeMember(alice.ctx, { conversationId, userId: carmen.userId }),
      ward.say(bob, conversationId, 'sealed before the removal, appended after it'),
    ]
    await Promise.all(acts)
    const rows = await ward.ownerQuery(
      `select seq::int, get_byte(body_ciphertext, 0) is not null as sealed from sotto.entry where conversation_id = $1 order by seq`,
      [conversationId],
    )
    expect(rows).toHaveLength(4)
    const { items } = (await ward.operations.listEntries(bob.ctx, { conversationId, limit: 10 })) as {
      items: { payload: { text?: string } }[]
    }
    expect(items.map(({ payload }) => payload.text)).toEqual([
      undefined,
      'under the first epoch',
      undefined,
      'sealed before the removal, appended after it',
    ])
  })

  test('a send that was answered is recognised after the conversation was closed', async () => {
    const { alice, bob } = await ward.createClinic()
    const { conversationId } = await ward.begin(alice, [bob])
    const entryId = ward.ids.next<EntryId>()
    const sent = await ward.say(bob, conversationId, 'the answer to this is lost', entryId)
    await ward.operations.updateConversation(alice.ctx, { conversationId, closed: true })
    expect(await ward.say(bob, conversationId, 'the answer to this is lost', entryId)).toEqual(sent)
    expect(await outcomes([ward.say(bob, conversationId, 'this is new')])).toEqual(['conversations/closed'])
  })
})
