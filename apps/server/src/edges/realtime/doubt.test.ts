import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { ConversationId } from '@sotto/protocol'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { openTestSocket, type TestSocket } from '../../../../../packages/testkit/src/test-socket.ts'
import { openWard, type Clinic, type Person, type Ward } from '../../domains/conversations/ward.testing.ts'
import { DatabaseUnavailable } from '../../platform/db/errors.ts'
import type { LaneTx } from '../../platform/db/tx.ts'

// The answer of a COMMIT was lost: nobody knows whether it has happened, and those who deliver must not go on as before.

describe.each(databaseKinds)('on %s', (kind) => {
  let ward: Ward
  let clinic: Clinic
  let alice: Person, grace: Person, bob: Person
  const opened: TestSocket[] = []

  beforeAll(async () => {
    ward = await openWard(kind)
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    clinic = await ward.createClinic()
    ;({ alice, grace, bob } = clinic)
  })
  afterEach(async () => {
    vi.restoreAllMocks()
    for (const socket of opened.splice(0)) socket.webSocket.terminate()
  })

  async function socketOf(who: Person): Promise<TestSocket> {
    const socket = await openTestSocket(ward.url, who.accessToken)
    opened.push(socket)
    await socket.command('conversation.sync', {})
    return socket
  }

  /** The next transaction of a lane loses its answer: it has happened, or has not. */
  function loseNextAnswer(hasHappened: boolean, then = () => {}): void {
    const { db } = ward.composition
    const lane = db.lane.bind(db)
    const losing = vi.spyOn(db, 'lane').mockImplementation((index) => ({
      async withTx<T>(fn: (tx: LaneTx) => Promise<T>): Promise<T> {
        losing.mockRestore()
        const rollback = new Error('it has not happened')
        const run = lane(index).withTx(async (tx) => {
          const result = await fn(tx)
          if (!hasHappened) throw rollback
          return result
        })
        await run.catch((error: unknown) => {
          if (error !== rollback) throw error
        })
        then()
        throw new DatabaseUnavailable('unknown', 'closed')
      },
    }))
  }

  const isUnknown = expect.objectContaining({ name: 'DatabaseUnavailable', outcome: 'unknown' }) as object
  const arrives = (socket: TestSocket, conversationId: ConversationId, seq: number) =>
    socket.next('entry', ({ entry }) => entry.conversationId === conversationId && entry.seq === seq)
  const isTold = (socket: TestSocket, conversationId: ConversationId) =>
    socket.next('conversation', (frame) => frame.conversationId === conversationId)
  const lookFor = { timeout: 5_000 }

  test('who was removed is told so when the database knows, and gets nothing that is written afterwards', async () => {
    const { conversationId } = await ward.begin(alice, [grace, bob])
    const [gracesSocket, bobsSocket] = [await socketOf(grace), await socketOf(bob)]
    await ward.say(alice, conversationId, 'while Bob is there')
    await Promise.all([arrives(gracesSocket, conversationId, 2), arrives(bobsSocket, conversationId, 2)])
    loseNextAnswer(true)
    const removal = ward.operations.removeMember(alice.ctx, { conversationId, userId: bob.userId })
    await expect(removal).rejects.toEqual(isUnknown)
    const isRemoved = () =>
      bobsSocket.frames.some((frame) => frame.op === 'capabilities' && frame.conversationId === conversationId)
    await expect.poll(isRemoved, lookFor).toBe(true)
    await ward.say(alice, conversationId, 'when Bob is gone')
    await arrives(gracesSocket, conversationId, 4)
    expect(JSON.stringify(bobsSocket.frames)).not.toContain('when Bob is gone')
    const closed = async () =>
      (await ward.trail(clinic, { actorUserId: bob.userId })).filter(({ action }) => action === 'delivery.close').length
    await expect.poll(closed, { timeout: 5_000 }).toBe(1)
  })

  test('a removal that has not happened takes nothing from anybody', async () => {
    const { conversationId } = await ward.begin(alice, [bob])
    const socket = await socketOf(bob)
    await ward.say(alice, conversationId, 'before')
    await arrives(socket, conversationId, 2)
    loseNextAnswer(false)
    const removal = ward.operations.removeMember(alice.ctx, { conversationId, userId: bob.userId })
    await expect(removal).rejects.toEqual(isUnknown)
    await isTold(socket, conversationId)
    await ward.say(alice, conversationId, 'after')
    await arrives(socket, conversationId, 3)
    expect(socket.frames.filter(({ op }) => op === 'capabilities')).toEqual([])
  })

  test('who was added is told to look, and gets what is written from then on', async () => {
    const { conversationId } = await ward.begin(alice, [bob])
    const socket = await socketOf(grace)
    await ward.say(alice, conversationId, 'the audience is known')
    loseNextAnswer(true)
    const addition = ward.operations.addMember(alice.ctx, {
      conversationId,
      userIds: [grace.userId],
      memberRole: 'participant',
    })
    await expect(addition).rejects.toEqual(isUnknown)
    await isTold(socket, conversationId)
    await ward.say(alice, conversationId, 'welcome')
    await arrives(socket, conversationId, 4)
  })

  test('a message is not kept from the others because its sender never comes back', async () => {
    const { conversationId } = await ward.begin(alice, [bob])
    const socket = await socketOf(alice)
    loseNextAnswer(true)
    await expect(ward.say(bob, conversationId, 'chest pain')).rejects.toEqual(isUnknown)
    await isTold(socket, conversationId)
  })

  test('while the database does not answer it is asked again', async () => {
    const { conversationId } = await ward.begin(alice, [grace, bob])
    const socket = await socketOf(bob)
    await ward.say(alice, conversationId, 'while Bob is there')
    await arrives(socket, conversationId, 2)
    const gone = new DatabaseUnavailable('not-applied', 'ECONNREFUSED')
    let refusals = 0
    loseNextAnswer(true, () => {
      const { db } = ward.composition
      const withTx = db.withTx.bind(db)
      vi.spyOn(db, 'withTx').mockImplementation((scope, fn) =>
        refusals++ < 3 ? Promise.reject(gone) : withTx(scope, fn),
      )
    })
    const removal = ward.operations.removeMember(alice.ctx, { conversationId, userId: bob.userId })
    await expect(removal).rejects.toEqual(isUnknown)
    const isRemoved = () => socket.frames.some(({ op }) => op === 'capabilities')
    await expect.poll(isRemoved, { timeout: 5_000 }).toBe(true)
    expect(refusals).toBeGreaterThan(3)
  })
})
