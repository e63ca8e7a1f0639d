import type { Conversation, Entry, UserId } from '@sotto/protocol'
import type { ConversationState, EntryRange } from './state.ts'
import { adoptUnread, countEntry, countsFor, createUnread, unreadNumber } from './unread.ts'

/** Windows are bounded: what is cut off at the old end is loaded again on demand. */
const WINDOW_MAX = 4_000
const UNOBSERVED_WINDOW_MAX = 200
/** A larger gap is not filled: the window begins anew at the end, and older entries are loaded on demand. */
export const REPAIR_MAX = 1_000
/** Behind a gap, more than this is not kept: filling the gap brings it anyway. */
const AHEAD_MAX = 500

/** A conversation as its summary shows it: the last entry is known, what is before it is loaded on demand. */
export function createConversation(summary: Conversation, observed: boolean): ConversationState {
  const { lastEntry, lastSeq, cursor } = summary
  return {
    id: summary.conversationId,
    summary,
    can: summary.can,
    entries: lastEntry !== null && lastEntry.seq === lastSeq ? [lastEntry] : [],
    heldTo: lastSeq,
    ahead: [],
    knownLast: lastSeq,
    firstVisibleSeq: summary.firstVisibleSeq,
    observed,
    repairing: false,
    repairFailures: 0,
    loadingOlder: false,
    olderProblem: null,
    unread: createUnread(cursor),
    cursors: new Map(),
    cursorsAsked: 0,
    typing: new Set(),
    own: {
      deliveredSeq: cursor.deliveredSeq,
      readSeq: cursor.readSeq,
      wantDelivered: cursor.deliveredSeq,
      wantRead: cursor.readSeq,
      moving: false,
    },
    typingSentAt: null,
    membersVersion: 0,
    removed: false,
    logNumber: 0,
    stale: false,
    former: null,
  }
}

/** Takes a newer summary of a known conversation. What the window lacks then is a gap to repair, or a new window. */
export function mergeSummary(known: ConversationState, summary: Conversation, me: UserId): ConversationState {
  const updated: ConversationState = {
    ...known,
    summary,
    can: summary.can,
    removed: false,
    stale: false,
    knownLast: Math.max(known.knownLast, summary.lastSeq),
    firstVisibleSeq: summary.firstVisibleSeq,
    unread: adoptUnread(known.unread, summary.cursor),
    own: {
      ...known.own,
      deliveredSeq: Math.max(known.own.deliveredSeq, summary.cursor.deliveredSeq),
      readSeq: Math.max(known.own.readSeq, summary.cursor.readSeq),
    },
  }
  if (known.stale) return startAnew(updated, summary)
  if (summary.lastSeq <= known.heldTo) return updated
  const missing = summary.lastSeq - known.heldTo
  const anew = missing > REPAIR_MAX || (!known.observed && missing > 1)
  if (anew) return startAnew(updated, summary)
  return summary.lastEntry === null ? updated : receiveEntries(updated, [summary.lastEntry], me)
}

function startAnew(conversation: ConversationState, { lastEntry, lastSeq }: Conversation): ConversationState {
  return drainAhead({
    ...conversation,
    entries: lastEntry !== null && lastEntry.seq === lastSeq ? [lastEntry] : [],
    heldTo: lastSeq,
  })
}

/** Takes entries in any order, any number of times: each is counted once, and shown once, in its place. */
export function receiveEntries(
  conversation: ConversationState,
  entries: readonly Entry[],
  me: UserId,
): ConversationState {
  let { unread, knownLast, ahead } = conversation
  for (const entry of entries) {
    unread = countEntry(unread, entry, me)
    knownLast = Math.max(knownLast, entry.seq)
    if (entry.seq > conversation.heldTo) ahead = insert(ahead, entry)
  }
  if (unread === conversation.unread && ahead === conversation.ahead && knownLast === conversation.knownLast) {
    return conversation
  }
  return drainAhead({ ...conversation, unread, knownLast, ahead })
}

/** Moves what has become gapless into the window. */
function drainAhead(conversation: ConversationState): ConversationState {
  const { heldTo, entries } = conversation
  const ahead = conversation.ahead.filter((entry) => entry.seq > heldTo)
  let fits = 0
  while (ahead[fits]?.seq === heldTo + fits + 1) fits += 1
  if (fits === 0) return ahead.length === conversation.ahead.length ? conversation : { ...conversation, ahead }
  const max = conversation.observed ? WINDOW_MAX : UNOBSERVED_WINDOW_MAX
  const longer = [...entries, ...ahead.slice(0, fits)]
  return {
    ...conversation,
    heldTo: heldTo + fits,
    // Cut in steps, so that a window at its bound is not copied twice for every entry.
    entries: longer.length > max ? longer.slice(Math.ceil(max / 10) + longer.length - max) : longer,
    ahead: ahead.slice(fits),
  }
}

function insert(ahead: readonly Entry[], entry: Entry): readonly Entry[] {
  const place = ahead.findIndex(({ seq }) => seq >= entry.seq)
  if (place === -1) return ahead.length < AHEAD_MAX ? [...ahead, entry] : ahead
  if (ahead[place]?.seq === entry.seq) return ahead
  return ahead.toSpliced(place, 0, entry).slice(0, AHEAD_MAX)
}

export function hasGap(conversation: ConversationState): boolean {
  return !conversation.removed && !conversation.stale && conversation.heldTo < conversation.knownLast
}

/** Takes the answer to a repair. The log may begin later than asked for, where the caller's view of it begins. */
export function receiveRepair(conversation: ConversationState, range: EntryRange, me: UserId): ConversationState {
  const { items, firstVisibleSeq } = range
  const begins = items[0]?.seq ?? 0
  const jumps = begins > conversation.heldTo + 1 && firstVisibleSeq > conversation.heldTo + 1
  const base: ConversationState = {
    ...conversation,
    repairing: false,
    firstVisibleSeq,
    // The server's word on where the log ends counts more than a frame that promised more.
    knownLast: items.length === 0 ? Math.max(conversation.heldTo, range.lastSeq) : conversation.knownLast,
    ...(jumps ? { entries: [], heldTo: begins - 1 } : {}),
  }
  const received = receiveEntries({ ...base, knownLast: Math.max(base.knownLast, range.lastSeq) }, items, me)
  return received.heldTo > conversation.heldTo ? { ...received, repairFailures: 0 } : received
}

/** Position before which older entries are asked for. */
export function windowStart(conversation: ConversationState): number {
  return conversation.entries[0]?.seq ?? conversation.heldTo + 1
}

export function hasOlder(conversation: ConversationState): boolean {
  return windowStart(conversation) > Math.max(1, conversation.firstVisibleSeq)
}

/** Puts older entries before the window, if they still meet it. */
export function receiveOlder(conversation: ConversationState, range: EntryRange): ConversationState {
  const start = windowStart(conversation)
  const older = range.items.filter((entry) => entry.seq < start)
  const fits = older.length > 0 && older.at(-1)?.seq === start - 1
  return {
    ...conversation,
    loadingOlder: false,
    olderProblem: null,
    // An empty answer means that there is nothing older to be seen, whatever the summary said.
    firstVisibleSeq: older.length === 0 ? start : range.firstVisibleSeq,
    entries: fits ? [...older, ...conversation.entries] : conversation.entries,
  }
}

/**
 * The unread number as the user expects it: what she has just marked as read is not unread, although the server has not
 * answered yet.
 */
export function shownUnread(conversation: ConversationState, me: UserId): number {
  const { unread, own, knownLast, heldTo, entries } = conversation
  const number = unreadNumber(unread)
  if (own.wantRead <= unread.readSeq) return number
  if (own.wantRead >= Math.max(knownLast, unread.asOfSeq)) return 0
  const covered = heldTo >= knownLast && windowStart(conversation) <= own.wantRead + 1
  if (!covered) return number
  return entries.filter((entry) => entry.seq > own.wantRead && countsFor(entry, me)).length
}
