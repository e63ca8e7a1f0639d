import { describe, expect, test } from 'vitest'
import type { Conversation, EntryId } from '@sotto/protocol'
import { alice, bob, device, place } from '../../test-support/people.testing.ts'
import { createPeer, epoch, problem } from '../../test-support/peer.testing.ts'
import { closeTable } from '../contract.generated.ts'
import { initialState, type Effect, type EntryRange, type Input, type OutboxRecord, type SyncState } from './state.ts'
import { step } from './sync-engine.ts'

const ward = place(1)
const nothing = { token: null, conversations: [], outbox: [] }

/** Drives one engine by hand, at a time that the test sets. */
function createDriver() {
  let state: SyncState = initialState
  let effects: Effect[] = []
  const driver = {
    now: 1_000,
    random: 0.5,
    get state() {
      return state
    },
    nextTickAt: null as number | null,
    do(input: Input): readonly Effect[] {
      deepFreeze(state)
      const stepped = step(state, input, { now: driver.now, random: () => driver.random })
      state = stepped.state
      driver.nextTickAt = stepped.nextTickAt
      effects.push(...stepped.effects)
      return stepped.effects
    },
    /** Lets time pass, with a tick whenever one is due. */
    pass(ms: number): void {
      const until = driver.now + ms
      while (driver.nextTickAt !== null && driver.nextTickAt <= until) {
        driver.now = Math.max(driver.now, driver.nextTickAt)
        driver.do({ type: 'tick' })
      }
      driver.now = until
    },
    frame: (frame: { op: string }) => driver.do({ type: 'frame', attempt: state.link.attempt, frame }),
    answer(op: string, result: unknown): void {
      const [id] = [...state.commands].findLast(([, command]) => command.op === op) ?? []
      driver.frame({ op: 'reply', id, result } as { op: string })
    },
    refuse(op: string, refusal: ReturnType<typeof problem>): void {
      const [id] = [...state.commands].findLast(([, command]) => command.op === op) ?? []
      driver.frame({ op: 'error', id, problem: refusal } as { op: string })
    },
    taken(): readonly Effect[] {
      const taken = effects
      effects = []
      return taken
    },
    writes: () => driver.taken().flatMap((effect) => (effect.type === 'write' ? [effect.frame] : [])),
    greet(): void {
      driver.frame({ op: 'hello', userId: alice, heartbeatMs: 20_000, reconnectSpreadMs: 4_000 } as { op: string })
    },
    goLive(changed: readonly Conversation[] = [summary()]): void {
      driver.do({ type: 'start', me: alice, restored: nothing })
      driver.greet()
      driver.answer('conversation.sync', { changed, removed: [], token: 't1', more: false })
      driver.taken()
    },
  }
  return driver
}

function summary(): Conversation {
  const peer = createPeer()
  peer.createConversation(ward, [alice, bob])
  return (peer.conversation(alice, ward) as { result: Conversation }).result
}

function message(order: number): OutboxRecord {
  const entryId = `0197a000-0000-7000-8000-${String(order).padStart(12, '0')}` as EntryId
  const payload = { v: 1, type: 'text', text: `message ${order}` } as const
  return { entryId, conversationId: ward, order, payload, header: {}, clientSentAt: epoch, problem: null }
}

function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return
  Object.freeze(value)
  for (const part of value instanceof Map ? value.values() : Object.values(value)) deepFreeze(part)
}

describe('the connection', () => {
  test.each(Object.entries(closeTable))('does what close code %s asks for: %s', (code, then) => {
    const driver = createDriver()
    driver.goLive()
    driver.do({ type: 'closed', attempt: driver.state.link.attempt, code: Number(code) })
    const { phase, freshToken, ended, nextAttemptAt } = driver.state.link
    expect(phase).toBe(then === 'stop' ? 'ended' : 'waiting')
    expect(ended).toBe(then === 'stop' ? 'protocol' : null)
    expect(freshToken).toBe(then === 'reauth')
    if (then === 'reconnect-later') expect(nextAttemptAt! - driver.now).toBeGreaterThanOrEqual(5_000)
    // Half of what the server lets clients spread over, because the dice say one half.
    if (then === 'reconnect') expect(nextAttemptAt! - driver.now).toBe(2_000)
  })

  test('waits ever longer, up to a limit, with the whole interval for jitter', () => {
    const driver = createDriver()
    driver.random = 0.999_999
    driver.do({ type: 'start', me: alice, restored: nothing })
    const delays = Array.from({ length: 9 }, () => {
      driver.do({
        type: 'open-failed',
        attempt: driver.state.link.attempt,
        problem: problem('platform/unavailable', 503),
      })
      const delayMs = driver.state.link.nextAttemptAt! - driver.now
      driver.pass(delayMs)
      return delayMs
    })
    expect(delays).toEqual([500, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
    driver.random = 0
    driver.do({
      type: 'open-failed',
      attempt: driver.state.link.attempt,
      problem: problem('platform/unavailable', 503, { retryAfterMs: 700 }),
    })
    expect(driver.state.link.nextAttemptAt! - driver.now).toBe(700)
  })

  test('asks for life when it is quiet, and gives up a socket that shows none', () => {
    const driver = createDriver()
    driver.goLive()
    driver.pass(20_000)
    expect(driver.writes().map(({ op }) => op)).toEqual(['ping'])
    driver.answer('ping', { at: epoch })
    driver.pass(19_000)
    expect(driver.state.link).toMatchObject({ phase: 'live', slow: false })
    driver.pass(4_500)
    expect(driver.state.link).toMatchObject({ phase: 'live', slow: true })
    driver.pass(60_000)
    expect(driver.taken().map(({ type }) => type)).toContain('close')
    expect(driver.state.link.attempt).toBeGreaterThan(1)
  })

  test('wakes at once when the device comes back, and checks a socket that slept', () => {
    const driver = createDriver()
    driver.goLive()
    driver.do({ type: 'wake' })
    expect(driver.writes()).toMatchObject([{ op: 'ping' }])
    driver.pass(5_000)
    expect(driver.state.link.phase).toBe('waiting')
    driver.do({ type: 'network', offline: false })
    expect(driver.state.link.phase).toBe('opening')
  })

  test('is offline the moment the device says so, and drops a socket that shows no life soon after', () => {
    const driver = createDriver()
    driver.goLive()
    driver.do({ type: 'network', offline: true })
    expect(driver.state.link).toMatchObject({ phase: 'live', offline: true })
    expect(driver.writes()).toMatchObject([{ op: 'ping' }])
    driver.pass(5_000)
    expect(driver.state.link).toMatchObject({ phase: 'waiting', offline: true })
    driver.do({ type: 'network', offline: false })
    expect(driver.state.link).toMatchObject({ phase: 'opening', offline: false })
  })

  test('believes an answer more than the device, and nothing that was on its way before', () => {
    const driver = createDriver()
    driver.goLive()
    driver.do({ type: 'outbox-add', record: message(1), stored: true })
    driver.do({ type: 'network', offline: true })
    driver.answer('message.send', { entryId: message(1).entryId, seq: 2, countable: 1, at: epoch })
    expect(driver.state.link.offline).toBe(true)
    driver.answer('ping', { at: epoch })
    expect(driver.state.link).toMatchObject({ phase: 'live', offline: false })

    // A device that is wrong from the start, too.
    const other = createDriver()
    other.do({ type: 'network', offline: true })
    other.goLive()
    expect(other.state.link).toMatchObject({ phase: 'live', offline: false })
  })

  test('gives up the socket of a device without a network when only what was on its way still comes', () => {
    const driver = createDriver()
    driver.goLive()
    driver.do({ type: 'outbox-add', record: message(1), stored: true })
    driver.do({ type: 'network', offline: true })
    driver.pass(1_000)
    driver.frame(entryFrame(2))
    driver.pass(3_999)
    expect(driver.state.link).toMatchObject({ phase: 'live', offline: true })
    driver.pass(1)
    expect(driver.state.link).toMatchObject({ phase: 'waiting', offline: true })
    expect(driver.state.outbox.get(ward)).toMatchObject([{ state: 'waiting', maybeSent: true }])

    // One that was wrong keeps it.
    const other = createDriver()
    other.goLive()
    other.do({ type: 'network', offline: true })
    other.answer('ping', { at: epoch })
    other.pass(5_000)
    expect(other.state.link).toMatchObject({ phase: 'live', attempt: 1 })
  })

  test('keeps that the session ends soon until the server takes it back, or the socket is another one', () => {
    const driver = createDriver()
    const expiring = { op: 'session', state: 'expiring', reason: 'idle', at: epoch, endsAt: '2026-01-01T00:02:00.000Z' }
    driver.do({ type: 'start', me: alice, restored: nothing })
    driver.greet()
    // Told while what changed is still being fetched.
    driver.frame(expiring)
    driver.now += 500
    driver.answer('conversation.sync', { changed: [summary()], removed: [], token: 't1', more: false })
    const told = { reason: 'idle', endsAt: driver.now - 500 + 120_000 }
    expect(driver.state.link).toMatchObject({ phase: 'live', expiring: told })
    driver.do({ type: 'outbox-add', record: message(1), stored: true })
    driver.answer('message.send', { entryId: message(1).entryId, seq: 2, countable: 1, at: epoch })
    expect(driver.state.link.expiring).toEqual(told)
    driver.frame({ op: 'session', state: 'active' } as { op: string })
    expect(driver.state.link.expiring).toBeNull()
    driver.frame(expiring)
    driver.do({ type: 'closed', attempt: driver.state.link.attempt, code: 1001 })
    expect(driver.state.link.expiring).toBeNull()
  })

  test('ignores what an earlier socket still says', () => {
    const driver = createDriver()
    driver.goLive()
    const before = driver.state
    driver.do({ type: 'closed', attempt: 0, code: 4401 })
    driver.do({ type: 'frame', attempt: 0, frame: { op: 'session' } })
    expect(driver.state.link).toBe(before.link)
  })

  test('leaves alone what it does not know', () => {
    const driver = createDriver()
    driver.goLive()
    driver.frame({ op: 'hologram' })
    driver.frame({ op: 'reply', id: 4_711, result: {} } as { op: string })
    expect(driver.state.link.phase).toBe('live')
  })

  test('a refused session on any command brings a fresh token and loses nothing', () => {
    const driver = createDriver()
    driver.goLive()
    driver.do({ type: 'outbox-add', record: message(1), stored: true })
    driver.refuse('message.send', problem('identity/token-expired', 401))
    driver.pass(2_500)
    expect(driver.taken()).toContainEqual({ type: 'open', attempt: 2, freshToken: true })
    driver.greet()
    driver.answer('conversation.sync', { changed: [], removed: [], token: 't2', more: false })
    expect(driver.writes()).toContainEqual(expect.objectContaining({ op: 'message.send', entryId: message(1).entryId }))
  })
})

describe('the outbox', () => {
  test('one message of a conversation is under way; the next one follows its answer', () => {
    const driver = createDriver()
    driver.goLive()
    for (const order of [1, 2]) driver.do({ type: 'outbox-add', record: message(order), stored: true })
    expect(driver.writes()).toHaveLength(1)
    driver.answer('message.send', { entryId: message(1).entryId, seq: 2, countable: 1, at: epoch })
    expect(driver.writes()).toMatchObject([{ op: 'message.send', entryId: message(2).entryId }])
  })

  test('nothing is sent before it is on the disk, and nothing overtakes it', () => {
    const driver = createDriver()
    driver.goLive()
    driver.do({ type: 'outbox-add', record: message(1), stored: false })
    driver.do({ type: 'outbox-add', record: message(2), stored: true })
    expect(driver.writes()).toEqual([])
    driver.do({ type: 'outbox-stored', entryId: message(1).entryId })
    expect(driver.writes()).toMatchObject([{ entryId: message(1).entryId }])
  })

  test('after-sync: the message waits for a sync and goes again', () => {
    const driver = createDriver()
    driver.goLive()
    driver.do({ type: 'outbox-add', record: message(1), stored: true })
    driver.taken()
    driver.refuse('message.send', problem('conversations/sync-expired', 410))
    expect(driver.writes()).toMatchObject([{ op: 'conversation.sync' }])
    driver.pass(2_000)
    expect(driver.writes()).toEqual([])
    driver.answer('conversation.sync', { changed: [], removed: [], token: 't2', more: false })
    driver.pass(2_000)
    expect(driver.writes()).toMatchObject([{ op: 'message.send' }])
  })

  test('a tab that does not lead sends nothing', () => {
    const driver = createDriver()
    driver.do({ type: 'leader', leader: false, outbox: null })
    driver.goLive()
    driver.do({ type: 'outbox-add', record: message(1), stored: true })
    expect(driver.writes()).toEqual([])
    driver.do({ type: 'leader', leader: true, outbox: { records: [message(1), message(2)], heldBefore: new Set() } })
    expect(driver.writes()).toMatchObject([{ entryId: message(1).entryId }])
  })
})

describe('the log', () => {
  test("a lost last entry is found by anybody's cursor that speaks of it", () => {
    const driver = createDriver()
    driver.goLive()
    driver.pass(5_000)
    driver.taken()
    const cursor = { userId: bob, deliveredSeq: 2, readSeq: 0 }
    driver.frame({ op: 'cursor', conversationId: ward, cursor } as { op: string })
    expect(driver.taken()).toEqual([])
    driver.pass(1_000)
    expect(driver.taken()).toContainEqual(expect.objectContaining({ type: 'list-entries', afterSeq: 1 }))
  })

  test('an answer that was asked for of a log that is no more is not mixed into the new one', () => {
    const driver = createDriver()
    driver.do({ type: 'observe', id: ward, observed: true })
    driver.goLive()
    driver.frame(entryFrame(4))
    const asked = { id: ward, purpose: 'repair', logNumber: 0 } as const
    driver.do({ type: 'closed', attempt: 1, code: 1006 })
    driver.pass(5_000)
    driver.greet()
    driver.refuse('conversation.sync', problem('conversations/sync-expired', 410))
    driver.answer('conversation.sync', { changed: [summary()], removed: [], token: 't2', more: false })
    const items = [2, 3, 4].map((seq) => entryFrame(seq).entry)
    driver.do({ type: 'range', ...asked, range: { items, firstVisibleSeq: 1, lastSeq: 4 } as unknown as EntryRange })
    expect(driver.state.conversations.get(ward)).toMatchObject({ heldTo: 1, knownLast: 1, stale: false })
  })

  test('what came before a full sync was cut is forgotten too: the next server may not know it', () => {
    const driver = createDriver()
    driver.goLive()
    for (const again of [1, 2]) {
      driver.do({ type: 'closed', attempt: again, code: 1006 })
      driver.pass(5_000)
      driver.greet()
      if (again === 1) driver.refuse('conversation.sync', problem('conversations/sync-expired', 410))
      const cursor = { userId: alice, deliveredSeq: 9, readSeq: 9 }
      if (again === 1)
        driver.frame({ op: 'cursor', conversationId: ward, cursor, unread: 0, asOfSeq: 9 } as { op: string })
    }
    driver.answer('conversation.sync', { changed: [summary()], removed: [], token: 't2', more: false })
    expect(driver.state.conversations.get(ward)).toMatchObject({ knownLast: 1, own: { readSeq: 0 }, stale: false })
  })

  test('nothing is added to a window before the sync of a new connection has said that its log is the same', () => {
    const driver = createDriver()
    driver.do({ type: 'observe', id: ward, observed: true })
    driver.goLive()
    driver.frame(entryFrame(4))
    const asked = { id: ward, purpose: 'repair', logNumber: 0 } as const
    driver.do({ type: 'range-failed', ...asked, problem: problem('platform/unavailable', 503) })
    driver.taken()
    driver.do({ type: 'closed', attempt: 1, code: 1006 })
    driver.pass(5_000)
    driver.greet()
    expect(driver.taken().map(({ type }) => type)).not.toContain('list-entries')
    driver.frame(entryFrame(2))
    const items = [2, 3].map((seq) => entryFrame(seq).entry)
    driver.do({ type: 'range', ...asked, range: { items, firstVisibleSeq: 1, lastSeq: 4 } as unknown as EntryRange })
    expect(driver.state.conversations.get(ward)).toMatchObject({ heldTo: 1 })
    expect(driver.taken()).toEqual([])
    driver.answer('conversation.sync', { changed: [], removed: [], token: 't2', more: false })
    expect(driver.state.conversations.get(ward)).toMatchObject({ heldTo: 2 })
    expect(driver.taken()).toContainEqual(expect.objectContaining({ type: 'list-entries', afterSeq: 2 }))
  })

  test('who was removed and is added again misses nothing that came before the summary', () => {
    const driver = createDriver()
    driver.do({ type: 'observe', id: ward, observed: true })
    driver.goLive()
    driver.frame({ op: 'capabilities', conversationId: ward, can: [] } as { op: string })
    driver.frame({ op: 'conversation', conversationId: ward } as { op: string })
    driver.taken()
    driver.frame(entryFrame(2))
    driver.answer('conversation.sync', { changed: [summary()], removed: [], token: 't2', more: false })
    expect(driver.writes()).toContainEqual(expect.objectContaining({ op: 'conversation.sync', token: 't2' }))
  })
})

describe('cursors', () => {
  test('a burst of entries moves the delivered cursor twice a second at most, to the latest place', () => {
    const driver = createDriver()
    driver.goLive()
    driver.pass(1_000)
    driver.taken()
    const moved: unknown[] = []
    for (let seq = 2; seq <= 41; seq += 1) {
      driver.frame(entryFrame(seq))
      driver.pass(50)
      for (const frame of driver.writes().filter(({ op }) => op === 'cursor.move')) {
        moved.push(frame['deliveredSeq'])
        driver.answer('cursor.move', {
          userId: alice,
          deliveredSeq: frame['deliveredSeq'],
          readSeq: 0,
          unread: 0,
          asOfSeq: 41,
        })
      }
    }
    expect(moved.length).toBeLessThanOrEqual(5)
    driver.pass(1_000)
    expect(driver.writes().at(-1) ?? { deliveredSeq: moved.at(-1) }).toMatchObject({ deliveredSeq: 41 })
  })

  test('nobody has read what is in a gap: the read cursor goes no further than what is held', () => {
    const driver = createDriver()
    driver.do({ type: 'observe', id: ward, observed: true })
    driver.goLive()
    driver.frame(entryFrame(2))
    driver.frame(entryFrame(6))
    driver.do({ type: 'mark-read', id: ward, seq: Number.MAX_SAFE_INTEGER })
    driver.pass(1_000)
    const moves = driver.writes().filter(({ op }) => op === 'cursor.move')
    expect(moves).toMatchObject([{ deliveredSeq: 2, readSeq: 2 }])
    const items = [3, 4, 5, 6].map((seq) => entryFrame(seq).entry)
    const range = { items, firstVisibleSeq: 1, lastSeq: 6 } as unknown as EntryRange
    driver.do({ type: 'range', id: ward, purpose: 'repair', logNumber: 0, range })
    driver.do({ type: 'mark-read', id: ward, seq: Number.MAX_SAFE_INTEGER })
    expect(driver.state.conversations.get(ward)?.own.wantRead).toBe(6)
  })

  test('a cursor that was not answered before a cut is moved after it', () => {
    const driver = createDriver()
    driver.goLive()
    driver.frame(entryFrame(2))
    driver.do({ type: 'mark-read', id: ward, seq: 2 })
    driver.pass(1_000)
    driver.do({ type: 'closed', attempt: 1, code: 1006 })
    driver.pass(5_000)
    driver.greet()
    driver.answer('conversation.sync', { changed: [], removed: [], token: 't2', more: false })
    driver.taken()
    driver.pass(1_000)
    expect(driver.writes()).toContainEqual(expect.objectContaining({ op: 'cursor.move', readSeq: 2, deliveredSeq: 2 }))
  })

  test('a typing signal of somebody else fades by itself', () => {
    const driver = createDriver()
    driver.goLive()
    driver.frame({ op: 'typing', conversationId: ward, userId: bob, typing: true } as { op: string })
    driver.pass(4_900)
    expect(driver.state.conversations.get(ward)?.typing.has(bob)).toBe(true)
    driver.pass(200)
    expect(driver.state.conversations.get(ward)?.typing.has(bob)).toBe(false)
  })
})

function entryFrame(seq: number): { op: string; entry: object } {
  const entry = {
    conversationId: ward,
    seq,
    countable: seq,
    entryId: `e${seq}`,
    kind: 'application',
    sender: { userId: bob, deviceId: device(3) },
    at: epoch,
    clientSentAt: null,
    header: { counts: true, priority: 'routine', notify: 'normal' },
    payload: { v: 1, type: 'text', text: `entry ${seq}` },
  }
  return { op: 'entry', entry }
}
