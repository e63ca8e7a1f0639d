import { socketCommands, type ConversationId, type EntryId, type FrameOf } from '@sotto/protocol'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { connectTestSocket, openTestSocket, type TestSocket } from '../../../../../packages/testkit/src/test-socket.ts'
import { DatabaseUnavailable } from '../../platform/db/errors.ts'
import { openWard, type Clinic, type Person, type Ward } from '../../domains/conversations/ward.testing.ts'

const SOCKETS_MAX = 3

describe.each(databaseKinds)('on %s', (kind) => {
  let ward: Ward
  let clinic: Clinic
  let alice: Person, grace: Person, bob: Person, carmen: Person, mallory: Person, ada: Person
  const opened: TestSocket[] = []

  beforeAll(async () => {
    ward = await openWard(kind, {
      limits: { socketsPerUserMax: SOCKETS_MAX, socketQueueBytesMax: 65_536, heartbeatMs: 1_000 },
    })
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    clinic = await ward.createClinic()
    ;({ alice, grace, bob, carmen, mallory, ada } = clinic)
  })
  afterEach(async () => {
    for (const socket of opened.splice(0)) socket.webSocket.terminate()
  })

  async function socketOf(who: Person, isLive = true): Promise<TestSocket> {
    const socket = await openTestSocket(ward.url, who.accessToken)
    opened.push(socket)
    if (isLive) await socket.command('conversation.sync', {})
    return socket
  }

  const seqsOf = ({ frames }: TestSocket, conversationId: ConversationId) =>
    frames.flatMap((frame) =>
      frame.op === 'entry' && frame.entry.conversationId === conversationId ? [frame.entry.seq] : [],
    )
  const seqArrives = (socket: TestSocket, conversationId: ConversationId, seq: number) =>
    socket.next('entry', ({ entry }) => entry.conversationId === conversationId && entry.seq === seq)
  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

  /** How long until it resolves, in milliseconds. */
  async function timed(act: Promise<unknown>): Promise<number> {
    const from = performance.now()
    await act
    return performance.now() - from
  }

  describe('fan-out', () => {
    test('the entries of many senders arrive at everyone in order, each once', async () => {
      const { conversationId } = await ward.begin(alice, [grace, bob])
      const sockets = await Promise.all([alice, grace, bob].map((who) => socketOf(who)))
      await Promise.all(
        range(1, 60).map((count) => ward.say([alice, grace, bob][count % 3]!, conversationId, `text ${count}`)),
      )
      for (const socket of sockets) {
        await seqArrives(socket, conversationId, 61)
        expect(seqsOf(socket, conversationId)).toEqual(range(2, 61))
      }
    })

    test('two clinics with a conversation of the same id each hear their own', async () => {
      const other = await ward.createClinic()
      const { conversationId } = await ward.begin(alice, [bob])
      await ward.begin(other.alice, [other.bob], { conversationId })
      const [own, foreign] = [await socketOf(bob), await socketOf(other.bob)]
      await ward.say(other.alice, conversationId, 'first there')
      await ward.say(alice, conversationId, 'then here')
      const texts = async (socket: TestSocket) =>
        JSON.stringify((await seqArrives(socket, conversationId, 2)).entry.payload)
      expect(await texts(own)).toContain('then here')
      expect(await texts(foreign)).toContain('first there')
      expect([seqsOf(own, conversationId), seqsOf(foreign, conversationId)]).toEqual([[2], [2]])
    })

    test('nobody else hears anything, and nothing is live before the first sync', async () => {
      const { conversationId } = await ward.begin(alice, [bob])
      const [stranger, idle, live] = [await socketOf(mallory), await socketOf(bob, false), await socketOf(bob)]
      await ward.say(alice, conversationId, 'for Bob')
      await seqArrives(live, conversationId, 2)
      await Promise.all([stranger, idle].map((socket) => socket.command('ping', {})))
      expect([...seqsOf(stranger, conversationId), ...seqsOf(idle, conversationId)]).toEqual([])
    })

    test.each(['full', 'since-join'] as const)('who is added hears from the joining on (%s)', async (history) => {
      const { conversationId } = await ward.begin(alice, [bob], { history })
      const [toCarmen, toBob] = [await socketOf(carmen), await socketOf(bob)]
      await ward.say(alice, conversationId, 'before Carmen')
      await ward.operations.addMember(alice.ctx, {
        conversationId,
        userIds: [carmen.userId],
        memberRole: 'participant' as const,
      })
      await ward.say(bob, conversationId, 'after Carmen')
      await toCarmen.next('conversation', (frame) => frame.conversationId === conversationId)
      await seqArrives(toCarmen, conversationId, 4)
      await seqArrives(toBob, conversationId, 4)
      expect(seqsOf(toCarmen, conversationId)).toEqual([3, 4])
      expect(seqsOf(toBob, conversationId)).toEqual([2, 3, 4])
    })

    test('who is removed hears nothing from the removal on, and that it is over within a second', async () => {
      const { conversationId } = await ward.begin(alice, [grace, bob])
      const [toBob, toGrace] = [await socketOf(bob), await socketOf(grace)]
      await ward.say(alice, conversationId, 'Bob hears this')
      await seqArrives(toBob, conversationId, 2)
      const over = toBob.next('capabilities', (frame) => frame.conversationId === conversationId)
      const sends = range(1, 20).map((count) => ward.say(grace, conversationId, `around the removal ${count}`))
      await ward.operations.removeMember(alice.ctx, { conversationId, userId: bob.userId })
      expect(await timed(over)).toBeLessThan(1_000)
      expect((await over).can).toEqual([])
      await Promise.all(sends)
      const { seq: last } = await ward.say(grace, conversationId, 'after the removal')
      await seqArrives(toGrace, conversationId, last)
      const removal = await toGrace.next(
        'entry',
        ({ entry }) => entry.kind === 'membership' && entry.conversationId === conversationId,
      )
      await toBob.command('ping', {})
      const heard = seqsOf(toBob, conversationId)
      expect(heard).toEqual(range(2, 1 + heard.length))
      expect(Math.max(...heard)).toBeLessThan(removal.entry.seq)
      // And is back in order when taken back.
      await ward.operations.addMember(alice.ctx, {
        conversationId,
        userIds: [bob.userId],
        memberRole: 'participant' as const,
      })
      await ward.say(grace, conversationId, 'welcome back')
      await seqArrives(toBob, conversationId, last + 2)
      expect(seqsOf(toBob, conversationId).slice(heard.length)).toEqual([last + 1, last + 2])
    })

    test('receipts go to all, with the unread number to the own devices', async () => {
      const { conversationId } = await ward.begin(alice, [bob])
      const [toAlice, toBob] = [await socketOf(alice), await socketOf(bob)]
      await ward.say(alice, conversationId, 'one')
      await ward.say(alice, conversationId, 'two')
      const moved = await toBob.command('cursor.move', { conversationId, readSeq: 2 })
      expect(moved).toMatchObject({ unread: 1, asOfSeq: 3 })
      const isBobs = ({ cursor }: FrameOf<'cursor'>) => cursor.userId === bob.userId
      const cursor = { userId: bob.userId, deliveredSeq: 2, readSeq: 2 }
      expect(await toAlice.next('cursor', isBobs)).toEqual({ op: 'cursor', conversationId, cursor })
      expect(await toBob.next('cursor', isBobs)).toEqual({
        op: 'cursor',
        conversationId,
        cursor,
        unread: 1,
        asOfSeq: 3,
      })
    })

    test('a repeated send makes the others look: the hint of the first one may have been lost with its answer', async () => {
      const { conversationId } = await ward.begin(alice, [bob])
      const sent = await ward.say(alice, conversationId, 'the answer was lost')
      const toBob = await socketOf(bob)
      await ward.say(alice, conversationId, 'the answer was lost', sent.entryId)
      await toBob.next('conversation', (frame) => frame.conversationId === conversationId)
    })
  })

  describe('sessions', () => {
    const endings: readonly (readonly [string, (who: Person) => Promise<unknown>])[] = [
      ['signed out elsewhere', (who) => ward.operations.endSession(who.ctx, { sessionId: who.ctx.sessionId })],
      ['ended by an administrator', (who) => ward.operations.endSession(ada.ctx, { sessionId: who.ctx.sessionId })],
      ['device revoked', (who) => ward.operations.revokeDevice(who.ctx, { deviceId: who.ctx.deviceId })],
      ['user deactivated', (who) => ward.operations.updateUser(ada.ctx, { userId: who.userId, active: false })],
    ]
    test.each(endings)('%s: the socket is told why and closed within a second', async (_how, end) => {
      const socket = await socketOf(grace)
      await end(grace)
      expect(await timed(socket.closed)).toBeLessThan(1_000)
      expect(await socket.closed).toBe(4401)
      expect(socket.frames.at(-1)).toMatchObject({ op: 'session', state: 'ended' })
      await expect(openTestSocket(ward.url, grace.accessToken)).rejects.toThrow(/401|400/)
    })

    test('one that ended behind the server’s back is refused at its next command', async () => {
      const { conversationId } = await ward.begin(alice, [bob])
      const socket = await socketOf(bob)
      await ward.say(bob, conversationId, 'a decision to keep')
      await ward.ownerQuery(
        `update sotto.session set ended_at = now(), end_reason = 'signed-out' where session_id = '${bob.ctx.sessionId}'`,
      )
      const payload = { v: 1 as const, type: 'text' as const, text: 'too late' }
      const commands = [
        socket.command('message.send', { conversationId, entryId: ward.ids.next<EntryId>(), payload }),
        socket.command('cursor.move', { conversationId, readSeq: 1 }),
        socket.command('presence.set', { state: 'away' }),
        socket.command('presence.watch', { userIds: [alice.userId] }),
        socket.command('conversation.sync', {}),
        socket.command('typing.signal', { conversationId, typing: true }),
        socket.command('ping', {}),
      ]
      expect(commands).toHaveLength(Object.keys(socketCommands).length)
      for (const one of await Promise.allSettled(commands)) {
        expect(one.status).toBe('rejected')
        const reason = (one as PromiseRejectedResult).reason as { readonly problem?: object }
        // Or the server has looked after its sockets at this very moment, as it does every ten seconds.
        if (reason.problem === undefined) expect(await socket.closed).toBe(4401)
        else expect(reason.problem).toMatchObject({ code: 'identity/session-ended', status: 401 })
      }
    })

    test('the database ended it and its answer was lost: the socket is closed within a second all the same', async () => {
      const socket = await socketOf(grace)
      const { db } = ward.composition
      const withTx = db.withTx.bind(db)
      const losing = vi.spyOn(db, 'withTx').mockImplementation(async (scope, fn) => {
        losing.mockRestore()
        await withTx(scope, fn)
        throw new DatabaseUnavailable('unknown', 'closed')
      })
      const lost = ward.operations.endSession(ada.ctx, { sessionId: grace.ctx.sessionId })
      await expect(lost).rejects.toThrow(DatabaseUnavailable)
      expect(await timed(socket.closed)).toBeLessThan(1_000)
      expect(await socket.closed).toBe(4401)
    })

    test('a session or a membership that ended is noticed at the next look, also by who only types or pings', async () => {
      const { conversationId } = await ward.begin(alice, [bob])
      const socket = await socketOf(bob)
      const type = () => socket.command('typing.signal', { conversationId, typing: true })
      const refusalOf = (command: () => Promise<unknown>) =>
        command().then(
          () => undefined,
          (error: { readonly problem?: { readonly code: string } }) => error.problem?.code ?? 'closed',
        )
      await type()
      await ward.ownerQuery(
        `update sotto.member set left_seq = 2 where user_id = '${bob.userId}' and conversation_id = '${conversationId}'`,
      )
      await expect.poll(() => refusalOf(type), { timeout: 5_000 }).toBe('access/not-found')
      await socket.command('ping', {})
      await ward.ownerQuery(
        `update sotto.session set ended_at = now(), end_reason = 'signed-out' where session_id = '${bob.ctx.sessionId}'`,
      )
      await expect
        .poll(() => refusalOf(() => socket.command('ping', {})), { timeout: 5_000 })
        .toMatch(/identity\/session-ended|closed/)
    })

    test('typing and pinging a hundred times reads once a second, and writes nothing', async () => {
      const { conversationId } = await ward.begin(alice, [bob])
      const socket = await socketOf(bob)
      await socket.command('typing.signal', { conversationId, typing: true })
      await socket.command('ping', {})
      const withTx = vi.spyOn(ward.composition.db, 'withTx')
      const from = performance.now()
      for (let count = 0; count < 100; count++) {
        await socket.command('typing.signal', { conversationId, typing: true })
        await socket.command('ping', {})
      }
      const seconds = (performance.now() - from) / 1_000
      const asked = withTx.mock.calls.filter(([scope]) => 'tenantId' in scope && scope.tenantId === bob.ctx.tenantId)
      withTx.mockRestore()
      expect(asked.length).toBeLessThanOrEqual(2 * Math.ceil(seconds))
    })

    test('one that ended while its socket was on the way in does not get in', async () => {
      const { ticket } = await ward.operations.createSocketTicket(bob.ctx, {})
      await ward.operations.endSession(bob.ctx, { sessionId: bob.ctx.sessionId })
      await expect(connectTestSocket(ward.url, ticket)).rejects.toThrow('401')
      // Between its ticket and its registration: the hint found no socket to close, the socket finds the hint.
      ward.composition.fanOut.sessionsEnded([grace.ctx.sessionId], 'signed-out')
      const socket = await socketOf(grace, false)
      expect(await socket.closed).toBe(4401)
    })

    test('a ticket opens one socket', async () => {
      const { ticket } = await ward.operations.createSocketTicket(bob.ctx, {})
      opened.push(await connectTestSocket(ward.url, ticket))
      await expect(connectTestSocket(ward.url, ticket)).rejects.toThrow('401')
    })
  })

  describe('sockets that misbehave', () => {
    const raw = (socket: TestSocket, data: string | Buffer) => socket.webSocket.send(data)
    const errorsOf = ({ frames }: TestSocket) =>
      frames.filter((frame): frame is FrameOf<'error'> => frame.op === 'error')
    const socketActs = async (who: Person) =>
      (await ward.trail(clinic, { actorUserId: who.userId })).filter(({ action }) => action.startsWith('socket.'))

    test('broken frames are answered, and ten of them are enough', async () => {
      const socket = await socketOf(bob)
      for (const text of ['', 'no json', '[]', '"text"', 'null', '{"op":', '{"__proto__":1}']) raw(socket, text)
      raw(socket, Buffer.from('{"op":"ping","id":1}'))
      raw(socket, `${'['.repeat(100)}${']'.repeat(100)}`)
      await expect.poll(() => errorsOf(socket).length).toBe(9)
      expect(errorsOf(socket).every(({ id, problem }) => id === null && problem.code === 'platform/malformed')).toBe(
        true,
      )
      expect(await socket.command('ping', {})).toHaveProperty('at')
      raw(socket, 'one more')
      expect(await socket.closed).toBe(4400)
    })

    test('well-formed nonsense is refused with the place that is wrong, and closes nothing', async () => {
      const socket = await socketOf(bob)
      const asks = [
        { op: 'ping' },
        { op: 'ping', id: -1 },
        { op: 'ping', id: 1.5 },
        { op: 'ping', id: '1' },
        { op: 'nothing', id: 11 },
        { op: 'constructor', id: 12 },
        { op: 5, id: 13 },
        { id: 14 },
        { op: 'ping', id: 15, more: true },
        { op: 'cursor.move', id: 16, conversationId: 'x', readSeq: 1 },
        { op: 'presence.set', id: 17, state: 'gone' },
        { op: 'conversation.sync', id: 18, token: 7 },
      ]
      for (const ask of asks) raw(socket, JSON.stringify(ask))
      await expect.poll(() => errorsOf(socket).length).toBe(asks.length)
      const told = new Map(errorsOf(socket).map(({ id, problem }) => [id, problem]))
      expect(new Set(told.keys())).toEqual(new Set([null, 11, 12, 13, 14, 15, 16, 17, 18]))
      expect([11, 12, 13, 14].map((id) => told.get(id)!.code)).toEqual(Array(4).fill('socket/unknown-command'))
      expect([15, 16, 17, 18].map((id) => told.get(id)!.code)).toEqual(Array(4).fill('platform/invalid-input'))
      expect(told.get(16)!.errors!.map(({ pointer }) => pointer)).toEqual(['/conversationId'])
      expect(socket.webSocket.readyState).toBe(socket.webSocket.OPEN)
    })

    test('an id that waits for its answer is not taken twice; afterwards it is free again', async () => {
      const socket = await socketOf(bob)
      const ask = JSON.stringify({ op: 'conversation.sync', id: 700 })
      raw(socket, ask)
      raw(socket, ask)
      const reply = await socket.next('reply', ({ id }) => id === 700)
      const refused = await socket.next('error')
      expect(refused).toMatchObject({ id: null, problem: { errors: [{ pointer: '/id' }] } })
      raw(socket, ask)
      await expect.poll(() => socket.frames.filter((frame) => frame.op === 'reply' && frame.id === 700).length).toBe(2)
      expect(reply).toHaveProperty('result')
    })

    test('a frame that is too large closes the socket', async () => {
      const socket = await socketOf(bob)
      raw(socket, 'x'.repeat(100_000))
      expect(await socket.closed).toBe(1009)
    })

    test('one socket too many costs the oldest', async () => {
      const sockets = []
      for (let count = 0; count < SOCKETS_MAX + 1; count++) sockets.push(await socketOf(bob))
      expect(await sockets[0]!.closed).toBe(4409)
      for (const socket of sockets.slice(1)) await socket.command('ping', {})
      await expect.poll(() => socketActs(bob).then((acts) => acts.length)).toBe(SOCKETS_MAX + 2)
      const acts = await socketActs(bob)
      const closed = acts.find(({ action }) => action === 'socket.close')!
      // The end is the end of that opening, and says why.
      expect(closed.resource).toEqual(acts[0]!.resource)
      expect(closed.details['code']).toBe(4409)
    })

    test('who does not read is cut, and catches up', { timeout: 60_000 }, async () => {
      const { conversationId } = await ward.begin(alice, [bob])
      const socket = await socketOf(bob)
      const connections = () => [...ward.composition.registry.ofUser(bob.ctx.tenantId, bob.userId)]
      const [connection] = connections()
      await ward.say(alice, conversationId, 'this is read')
      await seqArrives(socket, conversationId, 2)
      socket.webSocket.pause()
      const text = 'x'.repeat(60_000)
      let sent = 2
      while (connection!.closedWith === undefined && sent < 1_000) {
        await Promise.all(range(1, 10).map(() => ward.say(alice, conversationId, text)))
        sent += 10
      }
      expect(connection!.closedWith).toBe(4430)
      socket.webSocket.resume()
      expect(await socket.closed).toBe(4430)
      const heard = seqsOf(socket, conversationId)
      expect(heard).toEqual(range(2, 1 + heard.length))
      expect(heard.length).toBeLessThan(sent)
      const again = await socketOf(bob, false)
      const { changed } = await again.command('conversation.sync', {})
      expect(changed[0]).toMatchObject({ lastSeq: sent, cursor: { unread: sent - 1 } })
      const rest = await ward.operations.listEntries(bob.ctx, { conversationId, afterSeq: heard.at(-1)!, limit: 200 })
      expect(rest.items[0]!.seq).toBe(heard.at(-1)! + 1)
      // What it may have received is on record.
      await expect
        .poll(async () => (await ward.trail(clinic, { resourceId: conversationId, action: 'delivery.close' })).length)
        .toBe(1)
      const [closed] = await ward.trail(clinic, { resourceId: conversationId, action: 'delivery.close' })
      expect(closed!.details['lastSeq']).toBeGreaterThanOrEqual(heard.at(-1)!)
    })

    test('who is not there any more is noticed by silence', async () => {
      const socket = await socketOf(bob)
      // A cable that was pulled: nothing is read, so no ping is answered.
      socket.webSocket.pause()
      const codes = async () =>
        (await socketActs(bob)).filter(({ action }) => action === 'socket.close').map(({ details }) => details['code'])
      await expect.poll(codes, { timeout: 15_000 }).toEqual([4408])
      expect(ward.composition.board.stateOf(bob.ctx.tenantId, bob.userId)).toBe('offline')
    })
  })

  describe('on its way down', () => {
    test(
      'every socket is told to come back, and everything is recorded before the database is closed',
      { timeout: 60_000 },
      async () => {
        const own = await openWard(kind)
        const people = await own.createClinic()
        const { conversationId } = await own.begin(people.alice, [people.bob])
        const socket = await openTestSocket(own.url, people.bob.accessToken)
        await socket.command('conversation.sync', {})
        const { composition } = own
        const open = async () => {
          const rows = await own.ownerQuery(
            `select (select count(*) from sotto.delivery where closed_at is null)::int as open,
             (select count(*) from sotto.audit_event where class = 'socket.close')::int as closings`,
          )
          return rows[0]
        }
        await own.say(people.alice, conversationId, 'delivered in the last moment')
        let before: unknown
        const drained = composition.delivering.idle.bind(composition.delivering)
        Object.assign(composition.delivering, {
          async idle() {
            await drained()
            before = await open()
          },
        })
        await own[Symbol.asyncDispose]()
        expect(await socket.closed).toBe(1001)
        expect(before).toEqual({ open: 0, closings: 1 })
      },
    )
  })
})
