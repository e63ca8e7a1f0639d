import type { Conversation, ConversationId, EntryId, MovedCursor, Sent, Sync, UserId } from '@sotto/protocol'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { TEST_PASSWORD } from '../../../../../packages/testkit/src/test-server.ts'
import type { Ctx } from '../../platform/context/context.ts'
import { isLong, openWard, type Clinic, type Ward } from './ward.testing.ts'

/**
 * Cursors, unread numbers and places in the log against a model that keeps every entry in an array and counts by looking
 * at each. Acts of one step are made at the same moment; their order is read from what they are answered.
 */

const SEED = Number(process.env['SOTTO_TEST_SEED'] ?? Math.trunc(performance.timeOrigin) % 2 ** 31)
const RUNS = isLong ? 500 : 30

/** Alice manages; the others come and go. */
const NAMES = ['alice', 'grace', 'bob', 'carmen'] as const
type Name = (typeof NAMES)[number]

const anyone = fc.constantFrom<Name>(...NAMES)
const guest = fc.constantFrom<Name>('grace', 'bob', 'bob', 'carmen')
const device = fc.constantFrom(0, 1)
const send = fc.record({ act: fc.constant('send'), who: anyone, device })
const repeat = fc.record({ act: fc.constant('repeat'), who: anyone, which: fc.nat(50) })
/** `from`: the front of the log (so forward or ahead), the caller's own cursor (so back or forward). */
const move = fc.record({
  act: fc.constant('move'),
  who: anyone,
  device,
  from: fc.constantFrom('end', 'cursor'),
  by: fc.integer({ min: -3, max: 2 }),
  what: fc.constantFrom('read', 'delivered', 'both'),
})
const add = fc.record({ act: fc.constant('add'), who: guest })
const remove = fc.record({ act: fc.constant('remove'), who: guest, self: fc.boolean() })
const close = fc.record({ act: fc.constant('close'), closed: fc.boolean() })
const look = fc.record({ act: fc.constant('look'), who: anyone, how: fc.constantFrom('list', 'sync') })

/** Sends and moves race; what changes the conversation itself has a step of its own, so that the model knows the order. */
const race = fc.array(fc.oneof({ arbitrary: send, weight: 3 }, { arbitrary: move, weight: 3 }, repeat), {
  minLength: 1,
  maxLength: 6,
})
const single = fc
  .oneof(
    { arbitrary: add, weight: 3 },
    { arbitrary: remove, weight: 3 },
    { arbitrary: close, weight: 1 },
    { arbitrary: look, weight: 2 },
  )
  .map((one) => [one])
const steps = fc.array(fc.oneof(race, single), { minLength: 6, maxLength: 26 })
type Act =
  | { act: 'send'; who: Name; device: number }
  | { act: 'repeat'; who: Name; which: number }
  | { act: 'move'; who: Name; device: number; from: string; by: number; what: string }
  | { act: 'add'; who: Name }
  | { act: 'remove'; who: Name; self: boolean }
  | { act: 'close'; closed: boolean }
  | { act: 'look'; who: Name; how: string }

interface ModelEntry {
  readonly seq: number
  readonly counts: boolean
  readonly sender: Name
  readonly sent?: { readonly entryId: EntryId; readonly reply: Sent; readonly device: number }
}
interface ModelMember {
  isMember: boolean
  joinedSeq: number
  firstVisibleSeq: number
  deliveredSeq: number
  readSeq: number
}

class Model {
  readonly entries: ModelEntry[] = []
  readonly members = new Map<Name, ModelMember>()
  readonly history: 'full' | 'since-join'
  closed = false
  constructor(history: 'full' | 'since-join') {
    this.history = history
  }
  get lastSeq(): number {
    return this.entries.length
  }
  note(sender: Name, counts: boolean): void {
    this.entries.push({ seq: this.lastSeq + 1, counts, sender })
  }
  join(name: Name): void {
    const known = this.members.get(name)
    const joinedSeq = this.lastSeq
    this.members.set(name, {
      isMember: true,
      joinedSeq,
      firstVisibleSeq: this.history === 'full' ? 1 : joinedSeq,
      deliveredSeq: Math.max(known?.deliveredSeq ?? 0, joinedSeq),
      readSeq: joinedSeq,
    })
  }
  isMember(name: Name): boolean {
    return this.members.get(name)?.isMember ?? false
  }
  unread(name: Name, readSeq: number, asOfSeq: number): number {
    return this.entries.filter(
      (entry) => entry.counts && entry.sender !== name && entry.seq > readSeq && entry.seq <= asOfSeq,
    ).length
  }
  countable(seq: number): number {
    return this.entries.filter((entry) => entry.counts && entry.seq <= seq).length
  }
}

describe.each(databaseKinds)('on %s', (kind) => {
  let ward: Ward
  let clinic: Clinic
  /** Two devices of each. */
  let devices: Record<Name, readonly [Ctx, Ctx]>
  const tokens = new Map<Name, string>()
  let previousId: string | undefined

  beforeAll(async () => {
    ward = await openWard(kind)
    await openClinic()
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })

  /** Sessions do not live for ever, and lists of conversations grow. */
  async function openClinic(): Promise<void> {
    clinic = await ward.createClinic()
    tokens.clear()
    previousId = undefined
    const all = await Promise.all(NAMES.map(async (name) => [name, [clinic[name].ctx, await secondDevice(name)]]))
    devices = Object.fromEntries(all) as typeof devices
  }

  async function secondDevice(name: Name): Promise<Ctx> {
    const origin = { requestId: 'second-device', address: null }
    const signedIn = await ward.operations.createSession(origin, {
      tenant: clinic.slug,
      login: name,
      password: TEST_PASSWORD,
      device: { name: `${name}'s other device` },
      refreshTokenIn: 'body' as const,
    })
    return ward.composition.identity.authenticate(signedIn.accessToken.reveal(), origin)
  }

  test(
    'cursors, unread numbers and places are those of a model that keeps every entry',
    { timeout: 3_600_000 },
    async ({ task }) => {
      let runs = 0
      await fc.assert(
        fc.asyncProperty(fc.constantFrom('full' as const, 'since-join' as const), steps, async (history, plan) => {
          if (++runs % 50 === 0) await openClinic()
          await play(history, plan as Act[][])
        }),
        { seed: SEED, numRuns: RUNS, verbose: 1 },
      )
      task.meta.counts = { runs }
      task.meta.seed = SEED
    },
  )

  async function play(history: 'full' | 'since-join', plan: readonly (readonly Act[])[]): Promise<void> {
    const model = new Model(history)
    const { conversationId } = await ward.begin(clinic.alice, [clinic.bob], { history })
    model.note('alice', false)
    model.join('alice')
    model.join('bob')
    const table = { model, conversationId }
    for (const step of plan) await (step.length === 1 ? playOne(table, step[0]!) : playRace(table, step))
    for (const name of NAMES) {
      await checkList(table, name)
      await checkSync(table, name)
      await checkEntries(table, name)
    }
    previousId = conversationId
  }

  interface Table {
    readonly model: Model
    readonly conversationId: ConversationId
  }

  async function playOne(table: Table, act: Act): Promise<void> {
    const { model, conversationId } = table
    const { alice } = clinic
    switch (act.act) {
      case 'add': {
        const userIds = [clinic[act.who].userId]
        const code = await codeOf(
          ward.operations.addMember(alice.ctx, { conversationId, userIds, memberRole: 'participant' }),
        )
        expect(code).toBe(model.closed ? 'conversations/closed' : undefined)
        if (code !== undefined || model.isMember(act.who)) return
        model.note('alice', false)
        return model.join(act.who)
      }
      case 'remove': {
        const by = act.self ? clinic[act.who] : alice
        const code = await codeOf(
          ward.operations.removeMember(by.ctx, { conversationId, userId: clinic[act.who].userId }),
        )
        expect(code).toBe(model.isMember(act.who) ? undefined : 'access/not-found')
        if (code !== undefined) return
        model.note(act.self ? act.who : 'alice', false)
        model.members.get(act.who)!.isMember = false
        return
      }
      case 'close':
        await ward.operations.updateConversation(alice.ctx, { conversationId, closed: act.closed })
        if (act.closed !== model.closed) model.note('alice', false)
        model.closed = act.closed
        return
      case 'look':
        return act.how === 'list' ? checkList(table, act.who) : checkSync(table, act.who)
      default:
        return playRace(table, [act])
    }
  }

  /** All at once; then the model takes the entries in the order of their places, and checks each answer by itself. */
  async function playRace({ model, conversationId }: Table, acts: readonly Act[]): Promise<void> {
    const before = model.lastSeq
    const done = await Promise.all(
      acts.map(async (act) => {
        if (act.act === 'send') return { act, entry: await sendNew(conversationId, act) }
        if (act.act === 'repeat') return { act, repeat: await sendAgain(model, conversationId, act) }
        if (act.act === 'move') return { act, moved: await moveTo(model, conversationId, act) }
        throw new Error(`${act.act} does not race`)
      }),
    )
    const entries = done.flatMap(({ act, entry }) => {
      if (entry === undefined) return []
      const { who, device } = act as Extract<Act, { act: 'send' }>
      const allowed = model.isMember(who) ? (model.closed ? 'conversations/closed' : undefined) : 'access/not-found'
      expect(entry.code).toBe(allowed)
      if (entry.reply === undefined) return []
      const { reply, entryId } = entry
      return [{ seq: reply.seq, counts: true, sender: who, sent: { entryId, reply, device } }]
    })
    model.entries.push(...entries.toSorted((a, b) => a.seq - b.seq))
    expect(model.entries.map((entry) => entry.seq)).toEqual(model.entries.map((_, index) => index + 1))
    for (const { seq, sent } of entries) expect(sent.reply.countable).toBe(model.countable(seq))
    for (const { act, moved } of done)
      if (moved !== undefined) checkMove(model, before, act as Extract<Act, { act: 'move' }>, moved)
    // Cursors only move forward: of moves at the same moment the furthest stays.
    for (const { act, moved } of done) {
      if (moved?.cursor === undefined) continue
      const member = model.members.get((act as Extract<Act, { act: 'move' }>).who)!
      member.readSeq = Math.max(member.readSeq, moved.cursor.readSeq)
      member.deliveredSeq = Math.max(member.deliveredSeq, moved.cursor.deliveredSeq)
    }
  }

  async function sendNew(conversationId: ConversationId, act: Extract<Act, { act: 'send' }>) {
    const entryId = ward.ids.next<EntryId>()
    const input = sendInput(conversationId, entryId)
    const [reply, code] = await tried(ward.commands.sendMessage(devices[act.who][act.device]!, input))
    return { entryId, reply, code }
  }

  /** The answer to a repeat is the first answer, whatever happened to the conversation since. */
  async function sendAgain(model: Model, conversationId: ConversationId, act: Extract<Act, { act: 'repeat' }>) {
    const own = model.entries.filter((entry) => entry.sender === act.who && entry.sent !== undefined)
    const known = own[act.which % Math.max(1, own.length)]?.sent
    if (known === undefined) return
    const [reply, code] = await tried(
      ward.commands.sendMessage(devices[act.who][known.device]!, sendInput(conversationId, known.entryId)),
    )
    if (model.isMember(act.who)) expect(reply).toEqual(known.reply)
    else expect(code).toBe('access/not-found')
  }

  async function moveTo(model: Model, conversationId: ConversationId, act: Extract<Act, { act: 'move' }>) {
    const member = model.members.get(act.who)
    const to = Math.max(0, (act.from === 'end' ? model.lastSeq : (member?.readSeq ?? 0)) + act.by)
    const input = {
      conversationId,
      ...(act.what === 'delivered' ? {} : { readSeq: to }),
      ...(act.what === 'read' ? {} : { deliveredSeq: to }),
    }
    const [cursor, code] = await tried(ward.commands.moveCursor(devices[act.who][act.device]!, input))
    return { to, cursor, code }
  }

  function checkMove(
    model: Model,
    before: number,
    act: Extract<Act, { act: 'move' }>,
    { to, cursor, code }: { to: number; cursor: MovedCursor | undefined; code: string | undefined },
  ): void {
    const member = model.members.get(act.who)
    if (!model.isMember(act.who)) return expect(code).toBe('access/not-found')
    if (cursor === undefined) {
      expect(code).toBe('conversations/cursor-ahead')
      return expect(to).toBeGreaterThan(before)
    }
    const { readSeq, deliveredSeq, asOfSeq, unread } = cursor
    expect(to).toBeLessThanOrEqual(asOfSeq)
    expect(readSeq).toBeGreaterThanOrEqual(Math.max(member!.readSeq, act.what === 'delivered' ? 0 : to))
    expect(deliveredSeq).toBeGreaterThanOrEqual(Math.max(member!.deliveredSeq, readSeq, to))
    expect(asOfSeq).toBeGreaterThanOrEqual(before)
    expect(asOfSeq).toBeLessThanOrEqual(model.lastSeq)
    expect(unread).toBe(model.unread(act.who, readSeq, asOfSeq))
  }

  function sendInput(conversationId: ConversationId, entryId: EntryId) {
    return {
      conversationId,
      entryId,
      payload: { v: 1 as const, type: 'text' as const, text: `text of ${entryId}` },
      header: { priority: 'routine' as const, notify: 'normal' as const },
    }
  }

  function expectConversation({ model }: Table, name: Name, shown: Conversation): void {
    const member = model.members.get(name)!
    const { readSeq, deliveredSeq } = member
    expect(shown).toMatchObject({
      closed: model.closed,
      lastSeq: model.lastSeq,
      firstVisibleSeq: member.firstVisibleSeq,
      memberCount: [...model.members.values()].filter(({ isMember }) => isMember).length,
      cursor: { readSeq, deliveredSeq, asOfSeq: model.lastSeq, unread: model.unread(name, readSeq, model.lastSeq) },
    })
    expect(shown.can.includes('message.send')).toBe(!model.closed)
    expect(shown.lastEntry?.seq).toBe(model.lastSeq)
  }

  async function checkList(table: Table, name: Name): Promise<void> {
    const after = previousId === undefined ? {} : { after: previousId }
    const { items } = (await ward.operations.listConversations(clinic[name].ctx, { limit: 200, ...after })) as {
      items: Conversation[]
    }
    const shown = items.find((one) => one.conversationId === table.conversationId)
    expect(shown !== undefined).toBe(table.model.isMember(name))
    if (shown !== undefined) expectConversation(table, name, shown)
  }

  /** Each person keeps a token, as a device does, and holds what the syncs have told. */
  const held = new Map<Name, Conversation | undefined>()

  async function checkSync(table: Table, name: Name): Promise<void> {
    let more = true
    while (more) {
      const token = tokens.get(name)
      const sync: Sync = await ward.commands.syncConversations(devices[name][1], {
        limit: 2,
        ...(token === undefined ? {} : { token }),
      })
      for (const one of sync.changed) if (one.conversationId === table.conversationId) held.set(name, one)
      if (sync.removed.includes(table.conversationId)) held.set(name, undefined)
      tokens.set(name, sync.token)
      more = sync.more
    }
    const known = held.get(name)
    const isHeld = known?.conversationId === table.conversationId
    expect(isHeld).toBe(table.model.isMember(name))
    if (isHeld) expectConversation(table, name, known)
  }

  async function checkEntries({ model, conversationId }: Table, name: Name): Promise<void> {
    if (!model.isMember(name)) return
    const { items } = (await ward.operations.listEntries(clinic[name].ctx, { conversationId, limit: 200 })) as {
      items: { seq: number; countable: number; sender: { userId: UserId }; payload: object; entryId: EntryId }[]
    }
    const visible = model.entries.filter((entry) => entry.seq >= model.members.get(name)!.firstVisibleSeq)
    expect(items.map(({ seq, countable, sender }) => [seq, countable, sender.userId])).toEqual(
      visible.map(({ seq, sender }) => [seq, model.countable(seq), clinic[sender].userId]),
    )
    for (const { seq, payload, entryId } of items)
      if (model.entries[seq - 1]!.counts) expect(payload).toEqual({ v: 1, type: 'text', text: `text of ${entryId}` })
  }
})

async function codeOf(act: Promise<unknown>): Promise<string | undefined> {
  return (await tried(act))[1]
}

async function tried<T>(act: Promise<T>): Promise<readonly [T | undefined, string | undefined]> {
  try {
    return [await act, undefined]
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === undefined) throw error
    return [undefined, code]
  }
}
