import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Entry, UserId } from '@sotto/protocol'
import { alice, bob, device, place } from '../../test-support/people.testing.ts'
import { epoch } from '../../test-support/peer.testing.ts'
import { adoptUnread, countEntry, createUnread, unreadNumber, type ServerUnread } from './unread.ts'

const long = process.env['SOTTO_TEST_LONG'] === '1'

/** What happens at the server, one after another. */
type Act =
  | { readonly kind: 'entry'; readonly mine: boolean; readonly counts: boolean }
  | { readonly kind: 'read'; readonly by: number }
type Told = { readonly entry: Entry } | { readonly word: ServerUnread }

const acts = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('entry' as const), mine: fc.boolean(), counts: fc.boolean() }),
    fc.record({ kind: fc.constant('read' as const), by: fc.nat(20) }),
  ),
  { maxLength: 40 },
)

test('the unread number is the naive one, whatever the order and however often things are told', () => {
  fc.assert(
    fc.property(acts, fc.infiniteStream(fc.nat()), (history, dice) => {
      const told = tell(history)
      const shuffled = [...told, ...told.filter(() => dice.next().value % 3 === 0)]
        .map((item) => ({ item, place: dice.next().value }))
        .toSorted((a, b) => a.place - b.place)
        .map(({ item }) => item)
      let unread = createUnread({ unread: 0, asOfSeq: 0, readSeq: 0 })
      const received: Told[] = []
      for (const item of shuffled) {
        unread = 'entry' in item ? countEntry(unread, item.entry, alice) : adoptUnread(unread, item.word)
        received.push(item)
        expect(unreadNumber(unread)).toBe(naive(received))
      }
    }),
    { numRuns: long ? 100_000 : 2_000 },
  )
})

/** Plays the history at the server and collects all it would tell. */
function tell(history: readonly Act[]): readonly Told[] {
  const log: Entry[] = []
  const told: Told[] = []
  let readSeq = 0
  for (const act of history) {
    if (act.kind === 'entry') {
      log.push(entry(log.length + 1, act.mine ? alice : bob, act.counts))
      told.push({ entry: log.at(-1)! })
    } else {
      readSeq = Math.min(log.length, readSeq + act.by)
    }
    const unread = log.filter((one) => one.seq > readSeq && one.header.counts && one.sender.userId !== alice).length
    told.push({ word: { unread, asOfSeq: log.length, readSeq } })
  }
  return told
}

/** The rule in words: the newest word of the server, plus what counts and was received after it. */
function naive(received: readonly Told[]): number {
  const words = received.flatMap((item) => ('word' in item ? [item.word] : []))
  const newest = words.reduce(
    (a, b) => (b.asOfSeq > a.asOfSeq || (b.asOfSeq === a.asOfSeq && b.readSeq >= a.readSeq) ? b : a),
    {
      unread: 0,
      asOfSeq: 0,
      readSeq: 0,
    },
  )
  const later = new Set<number>()
  for (const item of received) {
    if (!('entry' in item)) continue
    const { seq, header, sender } = item.entry
    if (seq > newest.asOfSeq && header.counts && sender.userId !== alice) later.add(seq)
  }
  return newest.unread + later.size
}

function entry(seq: number, userId: UserId, counts: boolean): Entry {
  return {
    conversationId: place(1),
    seq,
    countable: seq,
    entryId: String(seq) as Entry['entryId'],
    kind: 'application',
    sender: { userId, deviceId: device(1) },
    at: epoch,
    clientSentAt: null,
    header: { counts, priority: 'routine', notify: 'normal' },
    payload: { v: 1, type: 'text', text: 'x' },
  }
}
