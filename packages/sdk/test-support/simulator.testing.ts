import type { Conversation, ConversationId, DeviceId, EntryId, Sent, UserId } from '@sotto/protocol'
import { uuidv7 } from '../src/platform/random.ts'
import { initialState, type Effect, type Input, type OutboxRecord, type SyncState } from '../src/sync/state.ts'
import { step } from '../src/sync/sync-engine.ts'
import { alice, bob, device, mallory, place } from './people.testing.ts'
import { createPeer, problem, type Answer, type Peer, type PeerSocket } from './peer.testing.ts'
import { createSeeded } from './seeded.testing.ts'

/**
 * Runs devices against a peer in virtual time over a network that loses, repeats, reorders, delays and cuts, with
 * devices that die and servers that restart. One seed is one run. After the storm the network heals, and everything
 * must come to rest in the state that a perfect network would have led to.
 */
export interface SimulatedDevice {
  readonly userId: UserId
  readonly deviceId: DeviceId
  state: SyncState
  /** What is on its disk. */
  readonly disk: {
    outbox: Map<EntryId, OutboxRecord>
    token: string | null
    summaries: Map<ConversationId, Conversation>
  }
  /** Messages that reached the disk: `order` says in which order they were written. */
  readonly written: OutboxRecord[]
  readonly settled: Map<EntryId, Sent>
  /** Messages that the server has refused for good, once at least. */
  readonly refused: Set<EntryId>
  /** Messages that the server has lost, and that were given back to the user. She sends each again. */
  readonly givenBack: Set<EntryId>
  socket: PeerSocket | null
  generation: number
  order: number
}

export interface Simulation {
  readonly seed: number
  readonly peer: Peer
  readonly devices: readonly SimulatedDevice[]
  readonly conversations: readonly ConversationId[]
  /** Messages that went when the server was brought back from a backup. */
  readonly lost: ReadonlySet<EntryId>
  /** Of those, what their devices still had when it came back: it must not be lost. */
  readonly stillHeld: ReadonlySet<EntryId>
  /** Runs the storm, then the calm. @throws when an invariant is broken on the way */
  run(): void
}

interface Event {
  readonly at: number
  readonly run: () => void
}

const STORM_MS = 60_000
const CALM_MS = 400_000
/** From a backup to a running server: longer than any answer of the one before is under way. */
const RESTORE_MS = 20_000

export function createSimulation(seed: number): Simulation {
  const random = createSeeded(seed)
  const peer = createPeer()
  const conversations = [place(1), place(2)]
  const devices = [
    createDevice(alice, device(1)),
    createDevice(alice, device(2)),
    createDevice(bob, device(3)),
    createDevice(mallory, device(4)),
  ]
  const events: Event[] = []
  let now = 0
  let stormy = true
  let serverUp = true
  let serverRun = 0
  const lost = new Set<EntryId>()
  const stillHeld = new Set<EntryId>()

  /** Kept with the next one last, so that taking it is cheap. Of the same time, the one planned first is the next. */
  function after(delayMs: number, run: () => void): void {
    const at = now + delayMs
    let [low, high] = [0, events.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (events[middle]!.at > at) low = middle + 1
      else high = middle
    }
    events.splice(low, 0, { at, run })
  }
  const latency = (): number => 1 + random.below(stormy ? (random.chance(0.1) ? 8_000 : 200) : 30)
  const isLost = (): boolean => stormy && random.chance(0.03)

  function dispatch(one: SimulatedDevice, input: Input): void {
    const before = one.state
    const stepped = step(before, input, { now, random: random.next })
    one.state = stepped.state
    checkStep(one, before)
    for (const effect of stepped.effects) perform(one, effect)
    const { generation } = one
    if (stepped.nextTickAt !== null) {
      after(Math.max(0, stepped.nextTickAt - now), () => {
        if (one.generation === generation && isDue(one.state, now)) dispatch(one, { type: 'tick' })
      })
    }
  }

  /** An answer over HTTP: it may fail before anything happened, or after. */
  function overHttp(one: SimulatedDevice, ask: () => Answer, then: (answer: Answer) => void): void {
    const { generation } = one
    const answer = (value: Answer): void => after(latency(), () => one.generation === generation && then(value))
    after(latency(), () => {
      if (!serverUp || isLost()) return answer({ problem: network })
      const value = stormy && random.chance(0.03) ? { problem: problem('platform/unavailable', 503) } : ask()
      answer(isLost() ? { problem: network } : value)
    })
  }

  function perform(one: SimulatedDevice, effect: Effect): void {
    const { userId, deviceId, disk } = one
    switch (effect.type) {
      case 'open':
        return openSocket(one, effect.attempt)
      case 'close':
        if (one.socket !== null) peer.detach(one.socket)
        one.socket = null
        return
      case 'write':
        return upstream(one, effect.attempt, effect.frame)
      case 'list-entries':
        return overHttp(
          one,
          () => peer.listEntries(userId, effect.id, effect),
          (answer) => {
            if ('problem' in answer) dispatch(one, { ...effect, type: 'range-failed', problem: answer.problem })
            else dispatch(one, { ...effect, type: 'range', range: answer.result as never })
          },
        )
      case 'list-cursors':
        return overHttp(
          one,
          () => peer.listCursors(userId, effect.id),
          (answer) => {
            if ('problem' in answer) dispatch(one, { type: 'cursors-failed', id: effect.id, problem: answer.problem })
            else dispatch(one, { ...effect, type: 'cursors', items: (answer.result as { items: [] }).items })
          },
        )
      case 'send-http': {
        const { entryId, conversationId } = effect.item
        return overHttp(
          one,
          () => peer.send(userId, deviceId, conversationId, effect.item),
          (answer) => {
            if ('problem' in answer) dispatch(one, { type: 'outbox-refused', entryId, problem: answer.problem })
            else dispatch(one, { type: 'outbox-sent', entryId, sent: answer.result as Sent })
          },
        )
      }
      case 'settled':
        one.settled.set(effect.item.entryId, effect.sent)
        disk.outbox.delete(effect.item.entryId)
        return
      case 'remember':
        if (effect.anew) disk.summaries.clear()
        for (const summary of effect.changed) disk.summaries.set(summary.conversationId, summary)
        for (const id of effect.removed) disk.summaries.delete(id)
        disk.token = effect.token
        return
      case 'failed':
        one.refused.add(effect.item.entryId)
        disk.outbox.set(effect.item.entryId, { ...effect.item, problem: effect.problem })
        return
      case 'not-kept':
        one.givenBack.add(effect.item.entryId)
        disk.outbox.set(effect.item.entryId, effect.item)
        return sendAgain(one, effect.item)
      case 'ended':
        throw new Error(`a device has ended: ${effect.reason}`)
    }
  }

  function openSocket(one: SimulatedDevice, attempt: number): void {
    const { generation } = one
    const here = (): boolean => one.generation === generation
    after(latency(), () => {
      if (!here()) return
      if (!serverUp || (stormy && random.chance(0.2))) {
        return dispatch(one, { type: 'open-failed', attempt, problem: network })
      }
      const run = serverRun
      const socket = peer.attach(one.userId, one.deviceId, (frame) => {
        downstream(one, attempt, structuredClone(frame) as { op: string }, () => here() && run === serverRun)
      })
      one.socket = socket
      after(latency(), () => {
        const frame = { op: 'hello', userId: one.userId, heartbeatMs: 20_000, reconnectSpreadMs: 1_000 }
        if (here()) dispatch(one, { type: 'frame', attempt, frame })
      })
      // A cut: the server may notice it long after the device, or before.
      if (stormy && random.chance(0.7)) {
        after(500 + random.below(20_000), () => {
          peer.detach(socket)
          if (here() && random.chance(0.7))
            dispatch(one, { type: 'closed', attempt, code: random.pick([1001, 1006, 4430, 4503]) })
        })
      }
    })
  }

  function downstream(one: SimulatedDevice, attempt: number, frame: { op: string }, here: () => boolean): void {
    if (isLost()) return
    const times = stormy && random.chance(0.05) ? 2 : 1
    for (let time = 0; time < times; time += 1) {
      after(latency(), () => here() && dispatch(one, { type: 'frame', attempt, frame }))
    }
  }

  function upstream(one: SimulatedDevice, attempt: number, frame: Readonly<Record<string, unknown>>): void {
    const { socket, generation } = one
    if (isLost() || socket === null) return
    const times = stormy && random.chance(0.05) ? 2 : 1
    const run = serverRun
    for (let time = 0; time < times; time += 1) {
      after(latency(), () => {
        if (!serverUp || run !== serverRun || one.socket !== socket) return
        const { op, id, ...body } = structuredClone(frame) as { op: string; id: number }
        const busy = stormy && op !== 'ping' && random.chance(0.03)
        const answer = busy ? { problem: problem('platform/unavailable', 503) } : peer.command(socket, op, body)
        const reply =
          'problem' in answer
            ? { op: 'error', id, problem: answer.problem }
            : { op: 'reply', id, result: answer.result }
        downstream(one, attempt, reply, () => one.generation === generation)
      })
    }
  }

  /** The user sees that a message was lost, and sends it again. */
  function sendAgain(one: SimulatedDevice, record: OutboxRecord): void {
    const { generation } = one
    const { entryId } = record
    after(random.below(5_000), () => {
      if (one.generation !== generation || !one.disk.outbox.has(entryId)) return
      one.disk.outbox.set(entryId, { ...record, problem: null })
      dispatch(one, { type: 'outbox-retry', entryId })
    })
  }

  function start(one: SimulatedDevice): void {
    const { outbox, token, summaries } = one.disk
    for (const id of conversations) dispatch(one, { type: 'observe', id, observed: true })
    const restored = { token, conversations: [...summaries.values()], outbox: [...outbox.values()] }
    dispatch(one, { type: 'start', me: one.userId, restored })
    for (const record of restored.outbox) if (record.problem?.code === 'sdk/not-kept') sendAgain(one, record)
  }

  function write(one: SimulatedDevice): void {
    const conversationId = one.userId === mallory ? place(2) : random.pick(conversations)
    const entryId = uuidv7(1_767_225_600_000 + now, random) as EntryId
    const text = `message ${one.order} of ${one.deviceId}`
    one.order += 1
    const record: OutboxRecord = {
      entryId,
      conversationId,
      order: one.order,
      payload: { v: 1, type: 'text', text },
      header: {},
      clientSentAt: '2000-01-01T00:00:00.000Z',
      problem: null,
    }
    dispatch(one, { type: 'outbox-add', record, stored: false })
    const { generation } = one
    after(random.below(50), () => {
      if (one.generation !== generation) return
      one.disk.outbox.set(entryId, record)
      one.written.push(record)
      dispatch(one, { type: 'outbox-stored', entryId })
    })
  }

  /** The process dies: everything but the disk is gone. */
  function crash(one: SimulatedDevice): void {
    one.generation += 1
    if (one.socket !== null) peer.detach(one.socket)
    one.socket = null
    for (const entryId of heldBy(one)) if (!one.disk.outbox.has(entryId)) stillHeld.delete(entryId)
    one.state = initialState
    after(random.below(5_000), () => start(one))
  }

  function act(): void {
    const one = random.pick(devices)
    const id = random.pick(conversations)
    const running = one.state !== initialState
    const kind = random.below(100)
    if (kind < 60 && running) write(one)
    else if (kind < 75 && running) {
      const last = one.state.conversations.get(id)?.knownLast ?? 0
      dispatch(one, { type: 'mark-read', id, seq: random.below(last + 1) })
    } else if (kind < 79 && running) dispatch(one, { type: 'load-older', id })
    else if (kind < 83 && running) dispatch(one, { type: 'wake' })
    else if (kind < 87 && running) dispatch(one, { type: 'typing', id, typing: random.chance(0.7) })
    else if (kind < 90 && running) crash(one)
    else if (kind < 92) peer.expireTokens()
    else if (kind < 94) restartServer()
    else if (kind < 98 && serverUp) {
      if (!peer.members(place(2)).has(mallory)) return peer.addMember(place(2), mallory)
      peer.removeMember(place(2), mallory)
      // What she may not see any more, her device forgets.
      for (const { userId, written: theirs } of devices)
        if (userId === mallory) for (const { entryId } of theirs) stillHeld.delete(entryId)
    }
  }

  function restartServer(downMs = random.below(6_000)): void {
    if (!serverUp) return
    serverUp = false
    serverRun += 1
    for (const one of devices) {
      if (one.socket === null) continue
      peer.detach(one.socket)
      const { generation } = one
      const attempt = one.state.link.attempt
      after(latency(), () => one.generation === generation && dispatch(one, { type: 'closed', attempt, code: 1006 }))
    }
    after(downMs, () => (serverUp = true))
  }

  /** What came after the backup is gone. */
  function bringBackFromBackup(bringBack: () => void): void {
    if (!serverUp) return after(1_000, () => bringBackFromBackup(bringBack))
    restartServer(RESTORE_MS)
    after(RESTORE_MS - 1, () => {
      const before = conversations.map((id) => peer.log(id).map(({ entryId }) => entryId))
      bringBack()
      const there = new Set(conversations.flatMap((id) => peer.log(id).map(({ entryId }) => entryId)))
      for (const entryId of before.flat()) if (!there.has(entryId)) lost.add(entryId)
      for (const one of devices) for (const entryId of heldBy(one)) if (lost.has(entryId)) stillHeld.add(entryId)
    })
  }

  /** Messages of this device that its memory has as sent, in conversations that the server lets its user see. */
  function heldBy({ userId, deviceId, state }: SimulatedDevice): readonly EntryId[] {
    return conversations.flatMap((id) => {
      const known = state.conversations.get(id)
      if (known === undefined || known.removed || !peer.members(id).has(userId)) return []
      const entries = [...known.entries, ...known.ahead]
      const mine = entries.filter(({ kind, sender }) => kind === 'application' && sender.deviceId === deviceId)
      const sent = (state.outbox.get(id) ?? []).filter(({ state: how }) => how === 'sent')
      return [...mine, ...sent, ...(known.former?.mine ?? [])].map(({ entryId }) => entryId)
    })
  }

  function drain(untilMs: number): void {
    for (let next = events.at(-1); next !== undefined && next.at <= untilMs; next = events.at(-1)) {
      events.pop()
      now = next.at
      next.run()
    }
    now = untilMs
  }

  return {
    seed,
    peer,
    devices,
    conversations,
    lost,
    stillHeld,
    run() {
      peer.createConversation(place(1), [alice, bob])
      peer.createConversation(place(2), [alice, bob, mallory])
      for (const one of devices) after(random.below(1_000), () => start(one))
      for (let action = 0; action < 120; action += 1) after(random.below(STORM_MS), act)
      if (random.chance(0.5)) {
        after(random.below(25_000), () => {
          const bringBack = peer.backUp()
          after(1_000 + random.below(5_000), () => bringBackFromBackup(bringBack))
        })
      }
      drain(STORM_MS)
      stormy = false
      serverUp = true
      // A hint that got lost on a healthy connection is found at the next one.
      restartServer()
      drain(STORM_MS + CALM_MS)
    },
  }
}

const network = problem('platform/unavailable', 503)

function createDevice(userId: UserId, deviceId: DeviceId): SimulatedDevice {
  return {
    userId,
    deviceId,
    state: initialState,
    disk: { outbox: new Map(), token: null, summaries: new Map() },
    written: [],
    settled: new Map(),
    refused: new Set(),
    givenBack: new Set(),
    socket: null,
    generation: 0,
    order: 0,
  }
}

function isDue({ deadlines }: SyncState, now: number): boolean {
  for (const at of deadlines.values()) if (at <= now) return true
  return false
}

/** What holds after every single step. */
function checkStep(one: SimulatedDevice, before: SyncState): void {
  for (const [id, known] of one.state.conversations) {
    const last = before.conversations.get(id)
    if (last === known) continue
    known.entries.forEach((entry, index) => {
      if (entry.seq !== known.entries[0]!.seq + index) throw new Error(`a gap or a repeat at ${entry.seq}`)
    })
    const end = known.entries.at(-1)
    if (end !== undefined && end.seq !== known.heldTo)
      throw new Error(`the window ends at ${end.seq}, not ${known.heldTo}`)
    if (
      last === undefined ||
      last.removed ||
      known.removed ||
      last.logNumber !== known.logNumber ||
      last.stale ||
      last.summary.cursor.userId !== known.summary.cursor.userId
    )
      continue
    if (known.heldTo < last.heldTo) throw new Error('the window went back')
  }
}
