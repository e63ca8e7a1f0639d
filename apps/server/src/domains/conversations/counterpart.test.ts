/** @feature A1 D1 */
import type { Conversation, ConversationId, Sync } from '@sotto/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import type { Db, Statement, Tx } from '../../platform/db/tx.ts'
import { openWard, type Clinic, type Person, type Ward } from './ward.testing.ts'

// Whom a direct conversation is with, as renderConversations tells it, and with whom subjectsOf has the reading recorded.

describe.each(databaseKinds)('on %s', (kind) => {
  let ward: Ward
  let clinic: Clinic
  let alice: Person, bob: Person, carmen: Person, grace: Person, mallory: Person

  beforeAll(async () => {
    ward = await openWard(kind)
  })
  afterAll(() => ward[Symbol.asyncDispose]())
  beforeEach(async () => {
    clinic = await ward.createClinic()
    ;({ alice, bob, carmen, grace, mallory } = clinic)
  })

  type Operations = Ward['operations']
  const get = (who: Person, conversationId: ConversationId) =>
    ward.operations.getConversation(who.ctx, { conversationId }) as Promise<Conversation>
  const list = async (who: Person, operations: Operations = ward.operations) =>
    ((await operations.listConversations(who.ctx, { limit: 200 })) as { items: readonly Conversation[] }).items
  const sync = (who: Person, token?: string): Promise<Sync> =>
    ward.commands.syncConversations(who.ctx, { limit: 200, token })
  const talk = (other: Person, input: Parameters<Ward['begin']>[2] = {}) =>
    ward.begin(alice, [other], { kind: 'direct', ...input })

  const asBob = () => ({ userId: bob.userId, displayName: 'Bob the patient', role: 'patient' })
  const asAlice = () => ({ userId: alice.userId, displayName: 'Alice the nurse', role: 'clinician' })

  test('each of the two is told of the other, wherever the conversation is told of; in a group nobody is', async () => {
    const created = await talk(bob)
    const { conversationId } = created
    const group = await ward.begin(alice, [bob])
    expect(created.counterpart).toEqual(asBob())
    expect(group.counterpart).toBeNull()
    for (const [who, other] of [
      [alice, asBob()],
      [bob, asAlice()],
    ] as const) {
      const expected = new Map([
        [conversationId, other],
        [group.conversationId, null],
      ])
      expect((await get(who, conversationId)).counterpart).toEqual(other)
      for (const told of [await list(who), (await sync(who)).changed])
        expect(new Map(told.map((one) => [one.conversationId, one.counterpart]))).toEqual(expected)
    }
  })

  test('whoever is no member is told of neither, by any way', async () => {
    const { conversationId } = await talk(bob)
    await ward.refused(mallory, 'getConversation', { conversationId }, 'access/not-found')
    expect(await list(mallory)).toEqual([])
    expect((await sync(mallory)).changed).toEqual([])
    const other = await ward.createClinic()
    expect(await list(other.alice)).toEqual([])
  })

  test('the name is the one of now, and stays when its bearer is deactivated', async () => {
    const { conversationId } = await talk(grace)
    const update = (change: object) =>
      ward.operations.updateUser(clinic.ada.ctx, { userId: grace.userId, ...change } as never)
    await update({ displayName: 'Grace Ω the surgeon' })
    const expected = { userId: grace.userId, displayName: 'Grace Ω the surgeon', role: 'clinician' }
    expect((await get(alice, conversationId)).counterpart).toEqual(expected)
    await update({ active: false })
    expect((await list(alice))[0]?.counterpart).toEqual(expected)
    expect((await sync(alice)).changed[0]?.counterpart).toEqual(expected)
  })

  test('who has left is still the one whom the conversation was with, and is told nothing any more', async () => {
    const { conversationId } = await talk(bob)
    const { token } = await sync(bob)
    // No operation takes a member out of a direct conversation yet; the log must be readable when one does.
    await ward.ownerQuery(
      `update sotto.member set left_seq = 2, change = sotto.this_change() where conversation_id = $1 and user_id = $2`,
      [conversationId, bob.userId],
    )
    expect((await get(alice, conversationId)).counterpart).toEqual(asBob())
    expect((await list(alice))[0]?.counterpart).toEqual(asBob())
    expect(await list(bob)).toEqual([])
    const told = await sync(bob, token)
    expect([told.changed, told.removed]).toEqual([[], [conversationId]])
    await ward.refused(bob, 'getConversation', { conversationId }, 'access/not-found')
  })

  test('the reading is recorded with the patient whose name it shows, and with the one it is about', async () => {
    const plain = await talk(bob)
    const aboutCarmen = await talk(bob, { subjectUserId: carmen.userId })
    const amongStaff = await talk(grace)
    await list(alice)
    await sync(alice)
    await get(alice, aboutCarmen.conversationId)
    const trail = await ward.trail(clinic, { actorUserId: alice.userId })
    const recorded = (action: string) =>
      trail
        .filter((event) => event.action === action)
        .map(({ resource, subjectUserId }) => [resource?.id, subjectUserId])
        .toSorted((left, right) => (left.join() < right.join() ? -1 : 1))
    const expected = [
      [plain.conversationId, bob.userId],
      [aboutCarmen.conversationId, bob.userId],
      [aboutCarmen.conversationId, carmen.userId],
      [amongStaff.conversationId, null],
    ].toSorted((left, right) => (left.join() < right.join() ? -1 : 1))
    for (const action of ['conversation.list', 'conversation.sync', 'conversation.create'])
      expect(recorded(action), action).toEqual(expected)
    expect(recorded('conversation.get')).toEqual(expected.filter(([id]) => id === aboutCarmen.conversationId))
  })

  test('a page costs one statement for all names, however many conversations it has', async () => {
    const asked: string[] = []
    const count = ({ name }: Statement<unknown>) => void asked.push(name)
    const { db } = ward.composition
    const withTx: Db['withTx'] = (scope, fn) => db.withTx(scope, (tx) => fn(countingTx(tx, count)))
    const { operations } = await ward.startNode({ ...db, withTx })
    const costOf = async () => {
      // Once for the keys, which this node keeps from then on.
      await list(alice, operations)
      asked.splice(0)
      await list(alice, operations)
      return asked.toSorted()
    }
    await talk(bob)
    const one = await costOf()
    expect(one.filter((name) => name.startsWith('identity.user'))).toHaveLength(1)
    for (const other of [grace, carmen, mallory, bob, grace]) await talk(other)
    expect(await list(alice, operations)).toHaveLength(6)
    expect(await costOf()).toEqual(one)
  })
})

function countingTx(tx: Tx, count: (statement: Statement<unknown>) => void): Tx {
  return {
    rows: (statement, values) => (count(statement), tx.rows(statement, values)),
    run: (statement, values) => (count(statement), tx.run(statement, values)),
    send: (statement, values) => (count(statement), tx.send(statement, values)),
  }
}
