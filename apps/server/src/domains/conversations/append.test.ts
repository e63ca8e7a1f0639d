import type { ConversationId, EntryId, Sent } from '@sotto/protocol'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { expectGapless, readLog, sendOne, sendsIn } from './log.testing.ts'
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

  const send = (who: Person, conversationId: ConversationId, entryId: EntryId, text: string) =>
    sendOne(ward, who, { conversationId, entryId, text })

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
          for (const { clinic, conversationId } of rooms)
            expectGapless(await readLog(ward, clinic.alice, conversationId))
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
