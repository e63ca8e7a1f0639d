import type { ConversationId, FrameOf, Presence, UserId } from '@sotto/protocol'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { openTestSocket, type TestSocket } from '../../../../../packages/testkit/src/test-socket.ts'
import { createInProcessBus } from '../../platform/bus/bus.ts'
import { expectAct, openWard, type Clinic, type Person, type Ward } from '../conversations/ward.testing.ts'
import { createPresenceBoard, presenceChanged } from './presence.ts'

// listPresence, watchPresence, findVisibleUsers, setPresence and signalTyping, over HTTP and sockets.

describe.each(databaseKinds)('on %s', (kind) => {
  let ward: Ward
  let clinic: Clinic
  let alice: Person, grace: Person, bob: Person, carmen: Person, mallory: Person
  const opened: TestSocket[] = []

  beforeAll(async () => {
    ward = await openWard(kind)
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    clinic = await ward.createClinic()
    ;({ alice, grace, bob, carmen, mallory } = clinic)
  })
  afterEach(() => {
    for (const socket of opened.splice(0)) socket.webSocket.terminate()
  })

  async function socketOf(who: Person): Promise<TestSocket> {
    const socket = await openTestSocket(ward.url, who.accessToken)
    opened.push(socket)
    await socket.command('conversation.sync', {})
    return socket
  }
  const list = async (who: Person, others: readonly { readonly userId: UserId }[]) =>
    (
      (await ward.call(who, 'listPresence', { userIds: others.map(({ userId }) => userId).join(',') })).body as {
        items: Presence[]
      }
    ).items
  const states = ({ frames }: TestSocket, who: Person) =>
    frames.flatMap((frame) =>
      frame.op === 'presence' && frame.presence.userId === who.userId ? [frame.presence.state] : [],
    )

  test('whoever has a socket is there; away when all of them are; gone with the last', async () => {
    const watcher = await socketOf(alice)
    const before = await watcher.command('presence.watch', { userIds: [bob.userId] })
    expect(before.items).toEqual([{ userId: bob.userId, state: 'offline' }])
    const [phone, tablet] = [await socketOf(bob), await socketOf(bob)]
    await phone.command('presence.set', { state: 'away' })
    expect(await list(alice, [bob])).toEqual([{ userId: bob.userId, state: 'online' }])
    await tablet.command('presence.set', { state: 'away' })
    await watcher.next('presence', ({ presence }) => presence.state === 'away')
    await phone.command('presence.set', { state: 'online' })
    phone.close()
    tablet.close()
    await watcher.next('presence', ({ presence }) => presence.state === 'offline')
    expect(states(watcher, bob)).toEqual(expect.arrayContaining(['online', 'away', 'online', 'offline']))
    expect(await list(alice, [bob])).toEqual([{ userId: bob.userId, state: 'offline' }])
    const events = await ward.trail(clinic)
    expectAct(events, alice, { action: 'presence.watch', details: { userIds: [bob.userId] } })
    expect(events.filter(({ action }) => action === 'presence.set').map(({ details }) => details)).toEqual([
      { state: 'away' },
      { state: 'away' },
      { state: 'online' },
    ])
    // Bob is a patient: each time somebody is told whether he is there, he can learn of it later.
    const listed = events.filter(({ action }) => action === 'presence.list')
    expect(listed.map(({ subjectUserId, resource }) => [subjectUserId, resource?.id])).toEqual(
      expect.arrayContaining([
        [null, undefined],
        [bob.userId, bob.userId],
      ]),
    )
    expect(listed).toHaveLength(4)
    expect(events.filter((one) => one.action === 'presence.watch' && one.subjectUserId === bob.userId)).toHaveLength(1)
  })

  test('a new watch takes the place of the one before', async () => {
    const watcher = await socketOf(alice)
    await watcher.command('presence.watch', { userIds: [bob.userId] })
    await watcher.command('presence.watch', { userIds: [carmen.userId] })
    await socketOf(bob)
    await socketOf(carmen)
    await watcher.next('presence', ({ presence }) => presence.userId === carmen.userId)
    expect(states(watcher, bob)).toEqual([])
  })

  test('a patient sees those with whom a conversation is shared, for as long as it is', async () => {
    const { conversationId } = await ward.begin(alice, [bob, grace])
    expect((await list(bob, [alice, mallory, carmen])).map(({ userId }) => userId)).toEqual([alice.userId])
    const watcher = await socketOf(bob)
    const { items } = await watcher.command('presence.watch', { userIds: [alice.userId, mallory.userId, grace.userId] })
    expect(items.map(({ userId }) => userId).toSorted()).toEqual([alice.userId, grace.userId].toSorted())
    await socketOf(grace)
    await watcher.next('presence', ({ presence }) => presence.userId === grace.userId)
    // Grace leaves: Bob is not told of her any more, and still of Alice.
    await ward.operations.removeMember(alice.ctx, { conversationId, userId: grace.userId })
    await expect.poll(() => ward.composition.registry.watchersOf(grace.ctx.tenantId, grace.userId).size).toBe(0)
    expect(ward.composition.registry.watchersOf(alice.ctx.tenantId, alice.userId).size).toBe(1)
    await ward.operations.removeMember(alice.ctx, { conversationId, userId: bob.userId })
    await expect.poll(() => ward.composition.registry.watchersOf(alice.ctx.tenantId, alice.userId).size).toBe(0)
  })

  test('of another clinic nobody sees more than "offline"', async () => {
    const other = await ward.createClinic()
    await socketOf(other.bob)
    expect(await list(alice, [other.bob])).toEqual([{ userId: other.bob.userId, state: 'offline' }])
  })

  test('typing is told to the other members, once each, and to nobody else', async () => {
    const { conversationId } = await ward.begin(alice, [bob, grace], { subjectUserId: bob.userId })
    const [fromBob, toBob, toAlice, stranger] = await Promise.all([bob, bob, alice, mallory].map(socketOf))
    await fromBob!.command('typing.signal', { conversationId, typing: true })
    await fromBob!.command('typing.signal', { conversationId, typing: false })
    await toAlice!.next('typing', ({ typing }) => !typing)
    const typing = ({ frames }: TestSocket) =>
      frames.filter((frame): frame is FrameOf<'typing'> => frame.op === 'typing')
    expect(typing(toAlice!)).toEqual(
      [true, false].map((is) => ({ op: 'typing', conversationId, userId: bob.userId, typing: is })),
    )
    await Promise.all([toBob!, stranger!].map((socket) => socket.command('ping', {})))
    expect([...typing(toBob!), ...typing(stranger!), ...typing(fromBob!)]).toEqual([])
    const refused = stranger!.command('typing.signal', { conversationId, typing: true })
    await expect(refused).rejects.toMatchObject({ problem: { code: 'access/not-found' } })
    expectAct(await ward.trail(clinic), mallory, {
      action: 'typing.signal',
      outcome: 'refused',
      code: 'not-a-member',
      subject: bob.userId,
      resourceId: conversationId,
    })
    // Signals are counted by their socket, and stand in the record of its closing.
    fromBob!.close()
    const closings = async () =>
      (await ward.trail(clinic, { action: 'socket.close', actorUserId: bob.userId })).map(
        ({ details }) => details['typing'],
      )
    await expect.poll(closings).toEqual([[`${conversationId}:2`]])
  })

  test('who was removed, or whose conversation was closed, types to nobody', async () => {
    const { conversationId } = await ward.begin(alice, [bob])
    const signal = (who: Person) => ward.commands.signalTyping(who.ctx, { conversationId, typing: true })
    await signal(bob)
    await ward.operations.updateConversation(alice.ctx, { conversationId, closed: true })
    await expect(signal(bob)).rejects.toMatchObject({ code: 'conversations/closed' })
    await ward.operations.updateConversation(alice.ctx, { conversationId, closed: false })
    await signal(bob)
    await ward.operations.removeMember(alice.ctx, { conversationId, userId: bob.userId })
    await expect(signal(bob)).rejects.toMatchObject({ code: 'access/not-found' })
    await expect(
      ward.commands.signalTyping(bob.ctx, { conversationId: ward.ids.next<ConversationId>(), typing: true }),
    ).rejects.toMatchObject({ code: 'access/not-found' })
  })
})

test('a socket that closed while it said something about itself is not there for ever', () => {
  const bus = createInProcessBus(() => {})
  const told: string[] = []
  bus.subscribe(presenceChanged, ({ presence }) => void told.push(presence.state))
  const board = createPresenceBoard(bus)
  const [tenant, user] = ['t', 'u'] as unknown as [Parameters<typeof board.add>[0], UserId]
  board.add(tenant, user, 'socket')
  board.set(tenant, user, 'socket', 'away')
  board.remove(tenant, user, 'socket')
  board.set(tenant, user, 'socket', 'online')
  board.remove(tenant, user, 'socket')
  expect(board.stateOf(tenant, user)).toBe('offline')
  expect(told).toEqual(['online', 'away', 'offline'])
})
