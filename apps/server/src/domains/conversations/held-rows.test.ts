import type { Conversation, ConversationId } from '@sotto/protocol'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { laneOf } from '../../platform/db/group-commit.ts'
import { openWard, type Clinic, type Ward } from './ward.testing.ts'

// On the embedded database nobody else has a connection.
describe.runIf(databaseKinds.includes('postgres'))('a row that another transaction holds', () => {
  let ward: Ward
  let clinic: Clinic
  let stalled: Conversation
  let other: ConversationId

  beforeAll(async () => {
    ward = await openWard('postgres')
    clinic = await ward.createClinic()
    stalled = await ward.begin(clinic.alice, [clinic.grace, clinic.bob])
    const { lanes } = ward.composition.db
    do other = (await ward.begin(clinic.alice, [clinic.grace, clinic.bob])).conversationId
    while (laneOf(other, lanes) !== laneOf(stalled.conversationId, lanes))
    // What authorisation keeps is kept from now on.
    for (const who of [clinic.alice, clinic.bob])
      for (const id of [stalled.conversationId, other]) await ward.say(who, id, 'Good morning')
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })

  /** As somebody with psql would, until disposal. */
  async function hold(table: 'conversation' | 'member', condition: string): Promise<AsyncDisposable> {
    const client = new pg.Client({ connectionString: ward.server.adminUrl })
    await client.connect()
    await client.query(`begin; select 1 from sotto.${table} where ${condition} for update`)
    return {
      async [Symbol.asyncDispose]() {
        await client.query('rollback')
        await client.end()
      },
    }
  }

  const isOpen = async (act: Promise<unknown>) =>
    (await Promise.race([act.then(() => 'answered', String), Promise.resolve('open')])) === 'open'

  test('keeps its own conversation waiting, in order, and no other of the lane', async () => {
    const { alice, bob } = clinic
    const { conversationId } = stalled
    const holder = await hold('conversation', `conversation_id = '${conversationId}'`)
    const waiting = [
      ward.say(alice, conversationId, 'one'),
      ward.say(bob, conversationId, 'two'),
      ward.say(alice, conversationId, 'three'),
    ]
    const change = ward.operations.updateConversation(alice.ctx, { conversationId, title: 'Later' })
    const startedMs = performance.now()
    for (let round = 0; round < 20; round++) {
      await ward.say(bob, other, `round ${round}`)
      await ward.operations.moveCursor(alice.ctx, { conversationId: other, readSeq: round })
    }
    // A lock timeout of the lane is half a second: not one of them has waited for it, let alone each.
    expect(performance.now() - startedMs).toBeLessThan(5_000)
    for (const act of [...waiting, change]) expect(await isOpen(act)).toBe(true)
    await holder[Symbol.asyncDispose]()
    const seqs = (await Promise.all(waiting)).map(({ seq }) => seq)
    expect(seqs).toEqual([seqs[0]!, seqs[0]! + 1, seqs[0]! + 2])
    expect(await change).toMatchObject({ title: 'Later' })
  })

  test('of a member keeps that member waiting; sends and cursors of the others go on', async () => {
    const { alice, bob } = clinic
    const { conversationId } = stalled
    const holder = await hold('member', `conversation_id = '${conversationId}' and user_id = '${bob.userId}'`)
    const waiting = [
      ward.say(bob, conversationId, 'from one whose row is held'),
      ward.operations.moveCursor(bob.ctx, { conversationId, readSeq: 3 }),
    ]
    for (let round = 0; round < 5; round++) {
      await ward.say(alice, conversationId, `round ${round}`)
      await ward.operations.moveCursor(alice.ctx, { conversationId, readSeq: 1 + round })
    }
    for (const act of waiting) expect(await isOpen(act)).toBe(true)
    await holder[Symbol.asyncDispose]()
    expect(await waiting[1]).toMatchObject({ readSeq: 3 })
    await waiting[0]
  })

  test('for too long: who waits is told to try again, is not recorded, and nothing of theirs was done', async () => {
    const { alice, cora } = clinic
    const { conversationId } = stalled
    const before = await ward.operations.getConversation(alice.ctx, { conversationId })
    const holder = await hold('conversation', `conversation_id = '${conversationId}'`)
    const send = ward.say(alice, conversationId, 'never')
    await expect(send).rejects.toMatchObject({ name: 'DatabaseUnavailable', outcome: 'not-applied' })
    await holder[Symbol.asyncDispose]()
    expect(await ward.operations.getConversation(alice.ctx, { conversationId })).toMatchObject({
      lastSeq: before.lastSeq,
    })
    const { items } = await ward.operations.listAuditEvents(cora.ctx, { limit: 1, action: 'message.send' })
    expect(items[0]!.details['seq']).toBe(before.lastSeq)
  })

  test('somebody who is no member, and a conversation that is not there, are refused at once', async () => {
    const { alice, mallory } = clinic
    await ward.say(alice, other, 'members only')
    await expect(ward.say(mallory, other, 'let me in')).rejects.toMatchObject({ code: 'access/not-found' })
    const nowhere = ward.ids.next<ConversationId>()
    await expect(ward.say(alice, nowhere, 'is anybody there')).rejects.toMatchObject({ code: 'access/not-found' })
  })
})
