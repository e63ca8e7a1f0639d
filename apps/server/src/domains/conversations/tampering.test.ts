import { problemCatalogue, type ConversationId, type EntryId, type ProblemDocument } from '@sotto/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { openTestSocket } from '../../../../../packages/testkit/src/test-socket.ts'
import { createLog } from '../../platform/log/log.ts'
import { systemClock } from '../../platform/time/clock.ts'
import { KEY_FRESH_MS_MAX } from '../keys/key-cache.ts'
import { entryAppended } from './conversations.topics.ts'
import { listLogEntries } from './log-store.ts'
import { openWard, type Clinic, type Person, type Ward } from './ward.testing.ts'

// What a caller and an operator are told when the database was changed by another hand.

const WORDS = 'the-left-knee-of-Bob'

describe.each(databaseKinds)('on %s: what was changed outside of Sotto', (kind) => {
  const lines: string[] = []
  let passedMs = 0
  let ward: Ward
  let clinic: Clinic
  let alice: Person, bob: Person, ada: Person
  let conversationId: ConversationId
  let entryId: EntryId

  beforeAll(async () => {
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + passedMs }
    ward = await openWard(kind, { clock, log: createLog({ level: 'warn', write: (line) => void lines.push(line) }) })
  })
  afterAll(() => ward[Symbol.asyncDispose]())
  beforeEach(async () => {
    clinic = await ward.createClinic()
    ;({ alice, bob, ada } = clinic)
    ;({ conversationId } = await ward.begin(alice, [bob], { title: WORDS, subjectUserId: bob.userId }))
    ;({ entryId } = await ward.say(alice, conversationId, WORDS))
    lines.length = 0
  })

  /** One bit of what is sealed, at the given place from its end or, below zero, from its start. */
  async function flip(table: string, column: string, where: string, fromEnd = 1): Promise<void> {
    const [row] = await ward.ownerQuery(`select ${column} as bytes from sotto.${table} where ${where}`)
    const bytes = Buffer.from(row!['bytes'] as Uint8Array)
    bytes[fromEnd > 0 ? bytes.length - fromEnd : -fromEnd]! ^= 1
    await ward.ownerQuery(`update sotto.${table} set ${column} = $1 where ${where}`, [bytes])
  }

  /** @returns the one line of the log that tells of it */
  function alarm(): Record<string, unknown> {
    const told = lines.filter((line) => line.includes('"keys.tampered"'))
    expect(told).toHaveLength(1)
    expect(told[0]).not.toContain(WORDS)
    expect(lines.some((line) => line.includes('platform/internal'))).toBe(false)
    return JSON.parse(told[0]!) as Record<string, unknown>
  }

  /** The read is refused with the code, and the log says which thing it was. */
  async function expectNoticed(
    answer: { readonly status: number; readonly body: unknown },
    thing: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const { status, body } = answer
    const { code, retry, title, detail, instance } = body as ProblemDocument
    const spec = problemCatalogue['keys/tampered']
    expect({ status, code, retry, title, detail }).toEqual({
      status: 500,
      code: 'keys/tampered',
      retry: 'never',
      title: spec.title,
      detail: spec.advice,
    })
    const line = alarm()
    expect(line).toMatchObject({ level: 50, requestId: instance, tenantId: alice.ctx.tenantId, ...thing })
    // Ids, words of ours and where in the code it was: nothing else is in the line.
    expect(Object.keys(line).filter((name) => !known.has(name))).toEqual([])
  }

  const known = new Set(
    'level time event requestId tenantId operation code sealedKind sealedId conversationId errorName errorFrames'.split(
      ' ',
    ),
  )
  const entry = () => ({ sealedKind: 'entry', sealedId: entryId, conversationId })
  const ofConversation = () => `conversation_id = '${conversationId}'`

  // The last byte is of the tag; 4 is the epoch of the key; 0 is the version of the form; 10 is in the salt.
  test.each([1, -4, 0, -10])('the body of an entry (byte %i)', async (byte) => {
    await flip('entry', 'body_ciphertext', `${ofConversation()} and seq = 2`, byte)
    await expectNoticed(await ward.call(bob, 'listEntries', { conversationId }), {
      ...entry(),
      operation: 'listEntries',
    })
    lines.length = 0
    await expectNoticed(await ward.call(bob, 'listConversations', {}), entry())
  })

  test.each([1, -4])('the title of a conversation (byte %i)', async (byte) => {
    await flip('conversation', 'title_encrypted', ofConversation(), byte)
    const title = { sealedKind: 'title', sealedId: conversationId }
    await expectNoticed(await ward.call(bob, 'getConversation', { conversationId }), title)
  })

  test.each([1, -4])('the name of a user (byte %i)', async (byte) => {
    await flip('app_user', 'display_name_encrypted', `user_id = '${bob.userId}'`, byte)
    const name = { sealedKind: 'user-name', sealedId: bob.userId }
    await expectNoticed(await ward.call(ada, 'listUsers', { limit: 200 }), { ...name, operation: 'listUsers' })
  })

  test('the wrapped key of a conversation, or the row that held it', async () => {
    await flip('conversation_key', 'wrapped_key_encrypted', ofConversation())
    passedMs += KEY_FRESH_MS_MAX
    await expectNoticed(await ward.call(bob, 'listEntries', { conversationId }), { sealedKind: 'entry' })
    lines.length = 0
    await ward.ownerQuery(`delete from sotto.conversation_key where ${ofConversation()}`)
    await expectNoticed(await ward.call(bob, 'listEntries', { conversationId }), { sealedKind: 'entry' })
    lines.length = 0
    // Nothing is sealed under a key that is not the conversation's, either.
    const payload = { v: 1, type: 'text', text: WORDS }
    const sent = await ward.call(alice, 'sendMessage', { conversationId, entryId: ward.ids.next(), payload })
    await expectNoticed(sent, { operation: 'sendMessage' })
  })

  test('the keys of the audit trail: nothing is done, and what can be read is found', async () => {
    const events = await ward.trail(clinic, { resourceId: conversationId })
    await ward.ownerQuery(
      `update sotto.audit_key set wrapped_key_encrypted = sha256(wrapped_key_encrypted) where tenant_id = $1 and bucket >= 0`,
      [alice.ctx.tenantId],
    )
    passedMs += KEY_FRESH_MS_MAX
    await expectNoticed(await ward.call(bob, 'listEntries', { conversationId }), { operation: 'listEntries' })
    const found = await ward.trail(clinic, { resourceId: conversationId })
    const [tried, before] = [0, 1].map((index) =>
      found.filter(({ outcome }) => (outcome === 'failed') === (index === 0)),
    )
    expect(before!.map(({ details }) => details)).toEqual(events.map(() => ({ broken: true })))
    expect(tried!.map(({ action, code }) => [action, code])).toEqual([['entry.list', 'keys/tampered']])
  })

  test('an entry on its way to a socket: it is not delivered, and the socket comes back to sync', async () => {
    const socket = await openTestSocket(ward.url, bob.accessToken)
    // Frames go to whom has synced.
    await socket.command('conversation.sync', {})
    const { tenantId } = alice.ctx
    const range = { conversationId, afterSeq: 1, beforeSeq: 3, limit: 1, from: 'start' } as const
    const [stored] = await ward.composition.db.withTx({ role: 'app', tenantId }, (tx) =>
      listLogEntries(tx, tenantId, range),
    )
    const bodyCiphertext = Buffer.from(stored!.bodyCiphertext!)
    bodyCiphertext[bodyCiphertext.length - 1]! ^= 1
    ward.composition.bus.publish(entryAppended, { tenantId, entry: { ...stored!, bodyCiphertext } })
    expect(await socket.closed).toBe(4503)
    expect(alarm()).toMatchObject({ tenantId, ...entry() })
    expect(socket.frames.filter(({ op }) => op === 'entry')).toEqual([])
  })
})
