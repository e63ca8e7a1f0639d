/** @feature A3 D1 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { limitDefaults, type ConversationId, type EntryId, type FrameOf } from '@sotto/protocol'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { connectTestSocket, openTestSocket, type TestSocket } from '../../../../../packages/testkit/src/test-socket.ts'
import { openWard, type Clinic, type Person, type Ward } from '../../domains/conversations/ward.testing.ts'
import { createFakeClock } from '../../domains/identity/clinic.testing.ts'
import { instant, toRfc3339 } from '../../platform/time/clock.ts'

const MINUTE_MS = 60_000
const IDLE_MS = limitDefaults.sessionIdleSeconds * 1000
const ABSOLUTE_MS = limitDefaults.sessionAbsoluteSeconds * 1000
const WARN_MS = limitDefaults.sessionExpiringSeconds * 1000

type Expiring = Extract<FrameOf<'session'>, { state: 'expiring' }>

describe.each(databaseKinds)('on %s', (kind) => {
  const clock = createFakeClock()
  const opened: TestSocket[] = []
  let ward: Ward
  let clinic: Clinic
  let alice: Person
  let startedAt: number
  let conversationId: ConversationId

  beforeAll(async () => {
    ward = await openWard(kind, { clock })
  })
  afterAll(() => ward[Symbol.asyncDispose]())
  beforeEach(async () => {
    startedAt = clock.now()
    clinic = await ward.createClinic()
    alice = clinic.alice
    ;({ conversationId } = await ward.begin(alice, [clinic.bob]))
  })
  afterEach(() => {
    for (const socket of opened.splice(0)) socket.webSocket.terminate()
  })

  async function socketOf({ accessToken }: Person): Promise<TestSocket> {
    const socket = await openTestSocket(ward.url, accessToken)
    opened.push(socket)
    return socket
  }
  const look = () => ward.composition.sessionWatch.sweep()
  const at = (ms: number) => toRfc3339(instant(ms))
  const act = (socket: TestSocket) => socket.command('message.send', sendInput())
  const told = ({ frames }: TestSocket) => frames.filter((frame) => frame.op === 'session')
  /** What was told until now: an answer comes after all that was sent before it. */
  async function toldNow(socket: TestSocket): Promise<readonly FrameOf<'session'>[]> {
    await socket.command('ping', {})
    return told(socket)
  }
  const sendInput = () => ({
    conversationId,
    entryId: ward.composition.ids.next<EntryId>(),
    payload: { v: 1 as const, type: 'text' as const, text: 'still here' },
  })

  test('a socket is told that its session ends for idleness, when, once, and without being asked for it', async () => {
    const socket = await socketOf(alice)
    clock.pass(IDLE_MS - WARN_MS - 1)
    await look()
    expect(await toldNow(socket)).toEqual([])
    clock.pass(1)
    const expiring = { op: 'session', state: 'expiring', reason: 'idle' }
    // The job itself looks, within ten seconds.
    await socket.next('session')
    await look()
    const endsAt = at(startedAt + IDLE_MS)
    expect(await toldNow(socket)).toEqual([{ ...expiring, at: at(clock.now()), endsAt }])
    clock.pass(WARN_MS - 1)
    await look()
    expect(await toldNow(socket)).toHaveLength(1)
    clock.pass(1)
    await look()
    expect(await socket.next('session', ({ state }) => state === 'ended')).toMatchObject({ reason: 'expired' })
    expect(await socket.closed).toBe(4401)
  })

  test('an act takes the warning back at once, on every socket of the session and on no other', async () => {
    const [first, second] = [await socketOf(alice), await socketOf(alice)]
    const other = await socketOf(clinic.grace)
    clock.pass(IDLE_MS - 1_000)
    await look()
    await act(first)
    for (const socket of [first, second])
      expect((await toldNow(socket)).map(({ state }) => state)).toEqual(['expiring', 'active'])
    expect((await toldNow(other)).map(({ state }) => state)).toEqual(['expiring'])
    // And is given again, for the new end.
    const actedAt = clock.now()
    clock.pass(IDLE_MS - WARN_MS)
    await look()
    expect((await toldNow(second)).at(-1)).toMatchObject({ state: 'expiring', endsAt: at(actedAt + IDLE_MS) })
  })

  test('what is no act takes nothing back, and an act over HTTP does', async () => {
    const socket = await socketOf(alice)
    await act(socket)
    clock.pass(IDLE_MS - WARN_MS)
    await look()
    await socket.command('conversation.sync', {})
    await socket.command('cursor.move', { conversationId, readSeq: 1 })
    expect((await toldNow(socket)).map(({ state }) => state)).toEqual(['expiring'])
    await ward.composition.identity.touchSession(alice.ctx)
    expect((await toldNow(socket)).map(({ state }) => state)).toEqual(['expiring', 'active'])
  })

  test('the absolute end is told too, and no act takes it back', async () => {
    const socket = await socketOf(alice)
    while (clock.now() < startedAt + ABSOLUTE_MS - 10 * MINUTE_MS) {
      clock.pass(10 * MINUTE_MS)
      await ward.composition.identity.touchSession(alice.ctx)
    }
    clock.pass(startedAt + ABSOLUTE_MS - WARN_MS - 1 - clock.now())
    await look()
    expect(await toldNow(socket)).toEqual([])
    clock.pass(1)
    await look()
    const expected = { state: 'expiring', reason: 'absolute', endsAt: at(startedAt + ABSOLUTE_MS) }
    await act(socket)
    await look()
    expect(await toldNow(socket)).toMatchObject([expected])
  })

  test('an act leaves the absolute end where both are near', async () => {
    const socket = await socketOf(alice)
    const lastActAt = startedAt + ABSOLUTE_MS - IDLE_MS - 30_000
    while (clock.now() < lastActAt) {
      clock.pass(Math.min(10 * MINUTE_MS, lastActAt - clock.now()))
      await ward.composition.identity.touchSession(alice.ctx)
    }
    clock.pass(IDLE_MS - 60_000)
    await look()
    await act(socket)
    expect(((await toldNow(socket)) as readonly Expiring[]).map(({ reason, endsAt }) => [reason, endsAt])).toEqual([
      ['idle', at(lastActAt + IDLE_MS)],
      ['absolute', at(startedAt + ABSOLUTE_MS)],
    ])
  })

  test('a socket that is opened in the last minutes is told as well', async () => {
    clock.pass(IDLE_MS - WARN_MS / 2)
    await look()
    const { ticket } = await ward.composition.operations.createSocketTicket(alice.ctx, {})
    const socket = await connectTestSocket(ward.url, ticket)
    opened.push(socket)
    await look()
    expect(await toldNow(socket)).toMatchObject([
      { state: 'expiring', reason: 'idle', endsAt: at(startedAt + IDLE_MS) },
    ])
  })

  test('a clock that is set back takes the warning back, and one that is set forward past the end ends the session', async () => {
    const socket = await socketOf(alice)
    clock.pass(IDLE_MS - WARN_MS)
    await look()
    clock.pass(-10 * MINUTE_MS)
    await look()
    expect((await toldNow(socket)).map(({ state }) => state)).toEqual(['expiring', 'active'])
    clock.pass(10 * MINUTE_MS)
    await look()
    expect((await toldNow(socket)).at(-1)).toMatchObject({ state: 'expiring', endsAt: at(startedAt + IDLE_MS) })
    clock.pass(30 * 24 * 60 * MINUTE_MS)
    await look()
    expect(await socket.closed).toBe(4401)
    expect(told(socket).map(({ state }) => state)).toEqual(['expiring', 'active', 'expiring', 'ended'])
  })

  test('a look costs one statement for each clinic, however many sockets there are', async () => {
    const other = await ward.createClinic()
    for (const who of [alice, alice, clinic.grace, clinic.bob, other.alice]) await socketOf(who)
    const { db } = ward.composition
    const { withTx } = db
    const counted: string[] = []
    // The job may look at the same time: only what this look asks is counted.
    const mine = new AsyncLocalStorage<boolean>()
    Object.assign(db, {
      withTx: (scope: { tenantId: string }, fn: never) => {
        if (mine.getStore()) counted.push(scope.tenantId)
        return withTx.call(db, scope as never, fn)
      },
    })
    try {
      await mine.run(true, look)
    } finally {
      Object.assign(db, { withTx })
    }
    expect(counted.toSorted()).toEqual([alice.ctx.tenantId, other.alice.ctx.tenantId].toSorted())
  })
})
