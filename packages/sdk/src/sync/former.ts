import type { ConversationId, Entry, ProblemDocument, UserId } from '@sotto/protocol'
import { sdkProblemDocument } from '../api/problem.ts'
import { limitTable } from '../contract.generated.ts'
import { backoffMs, retryBackoff } from './backoff.ts'
import { changeConversation, clearDeadline, putConversation, setDeadline, type Draft } from './draft.ts'
import { addItem, findItem, queueOf, removeItem, toRecord } from './outbox.ts'
import type { ConversationState, Former, OwnMessage } from './state.ts'
import { createUnread, unreadNumber } from './unread.ts'

/**
 * A server that no longer knows the sync token may have gone back to a backup: its logs may be shorter than what is held
 * here, or go on otherwise. So everything that was known by position is dropped and fetched anew.
 *
 * A message of the user's own that the server had acknowledged and has lost comes back into the outbox as one that has
 * failed: she sends it again, or discards it. It does not go by itself, because what was true when it was written may be
 * wrong now. Of two logs, everything up to an entry that both have is the same; one that was sent again has another time.
 */
export function forgetLogs(draft: Draft): void {
  for (const known of draft.state.conversations.values()) {
    if (known.removed) continue
    for (const what of ['repair', 'ask', 'check']) clearDeadline(draft, `${what}:${known.id}`)
    const mine = takeOwn(draft, known)
    putConversation(draft, forgetLog(known, nextFormer(known, mine)))
  }
}

/** A log may begin anew twice before it is known what became of the first one: then the two say nothing of each other. */
function nextFormer({ stale, former, entries, ahead }: ConversationState, mine: readonly OwnMessage[]): Former {
  const apart = (messages: readonly OwnMessage[]) => messages.map((message) => ({ ...message, at: null }))
  const earlier = former?.mine ?? []
  // What has arrived since it was stale, may have come from another server than the next summary.
  if (stale) return { entries: former?.entries ?? [], mine: inOrder([...apart(mine), ...earlier]) }
  return { entries: [...entries, ...ahead], mine: inOrder([...apart(earlier), ...mine]) }
}

/** The user's own messages that were acknowledged here, out of the log and out of the outbox. */
function takeOwn(draft: Draft, { id, entries, ahead }: ConversationState): readonly OwnMessage[] {
  const inLog = [...entries, ...ahead].flatMap((entry) => fromEntry(entry, draft.state.me))
  return inOrder([...takeSent(draft, id), ...inLog])
}

/** What the server has acknowledged and not shown yet. */
function takeSent(draft: Draft, id: ConversationId): readonly OwnMessage[] {
  const sent = queueOf(draft, id).filter(({ seq }) => seq !== null)
  for (const item of sent) removeItem(draft, item)
  return sent.map((item) => ({ ...toRecord(item), seq: item.seq ?? 0, at: null }))
}

/** Each once; what is known by its entry counts more. */
function inOrder(messages: readonly OwnMessage[]): readonly OwnMessage[] {
  const all = new Map(messages.map((message) => [message.entryId, message]))
  return [...all.values()].toSorted((left, right) => left.seq - right.seq)
}

function fromEntry(entry: Entry, me: UserId | null): readonly OwnMessage[] {
  const { entryId, conversationId, seq, kind, sender, payload, clientSentAt, at } = entry
  if (sender.userId !== me || kind !== 'application' || payload.type !== 'text') return []
  const { priority, notify } = entry.header
  // Its place in the queue is before everything that waits; of several, the ids say which is older.
  const record = { entryId, conversationId, order: 0, payload, header: { priority, notify } }
  return [{ ...record, clientSentAt: clientSentAt ?? at, problem: null, seq, at }]
}

function forgetLog(known: ConversationState, former: Former): ConversationState {
  return {
    ...known,
    logNumber: known.logNumber + 1,
    stale: true,
    former,
    entries: [],
    heldTo: 0,
    ahead: [],
    knownLast: 0,
    repairing: false,
    repairFailures: 0,
    loadingOlder: false,
    olderProblem: null,
    // Shown until the server says the number of the new log, which then counts as newer, whatever it is.
    unread: createUnread({ unread: unreadNumber(known.unread), asOfSeq: 0, readSeq: 0 }),
    cursors: new Map(),
    cursorsAsked: known.cursorsAsked + 1,
    typing: new Set(),
    own: { deliveredSeq: 0, readSeq: 0, wantDelivered: 0, wantRead: 0, moving: false },
    membersVersion: known.membersVersion + 1,
  }
}

/**
 * A conversation begins, or begins anew, with a summary. It often says already what of the former log is still there.
 * What was acknowledged without any log is in doubt too: the server may have gone back since.
 */
export function judgeFormer(draft: Draft, id: ConversationId): void {
  const known = draft.state.conversations.get(id)
  const sent = takeSent(draft, id)
  if (known === undefined || (known.former === null && sent.length === 0)) return
  const { lastEntry, lastSeq } = known.summary
  const former = known.former ?? { entries: [], mine: [] }
  const mine = inOrder([...sent, ...former.mine]).filter(({ entryId }) => entryId !== lastEntry?.entryId)
  const isShared = lastEntry !== null && former.entries.some((entry) => isSame(entry, lastEntry))
  const sharedTo = isShared ? lastEntry.seq : 0
  const later = mine.filter(({ seq, at }) => seq > sharedTo || at === null)
  // An answer to a message may overtake the summary; a log that was seen to be longer was another one.
  const isLost = ({ seq, at }: OwnMessage): boolean => seq > lastSeq && at !== null
  const lost = later.filter(isLost)
  const doubtful = later.filter((message) => !isLost(message))
  keepDoubt(draft, id, doubtful)
  putBack(draft, id, lost)
  checkFormer(draft, id)
}

/** Asks for the page of the new log that ends where the latest message in doubt was. */
export function checkFormer(draft: Draft, id: ConversationId): void {
  const known = draft.state.conversations.get(id)
  const latest = known?.former?.mine.at(-1)
  if (known === undefined || known.removed || known.stale || latest === undefined) return
  const { logNumber } = known
  const range = { beforeSeq: latest.seq + 1, limit: limitTable.pageSizeDefault }
  draft.effects.push({ type: 'list-entries', id, purpose: 'check', logNumber, ...range })
}

export function onChecked(draft: Draft, id: ConversationId, items: readonly Entry[]): void {
  const mine = draft.state.conversations.get(id)?.former?.mine ?? []
  const bySeq = new Map(items.map((entry) => [entry.seq, entry]))
  const kept = mine.findLastIndex((message) => isSame(message, bySeq.get(message.seq)))
  // Before one that is still there, all of its log are; of what has no time it is not known which log it was in.
  const later = mine.filter(({ at }, index) => index > kept || at === null)
  const from = items[0]?.seq ?? 0
  const [seen, unseen] = [later.filter(({ seq }) => seq >= from), later.filter(({ seq }) => seq < from)]
  const lost = seen.filter(({ seq, entryId }) => bySeq.get(seq)?.entryId !== entryId)
  // A page that shows nothing of what was asked for will not do so later.
  const isAnswer = seen.length > 0 || later.length === 0
  keepDoubt(draft, id, isAnswer ? unseen : [])
  putBack(draft, id, isAnswer ? lost : later)
  checkFormer(draft, id)
}

function isSame(held: Pick<OwnMessage, 'entryId' | 'seq' | 'at'>, entry: Entry | undefined): boolean {
  return held.entryId === entry?.entryId && held.seq === entry.seq && held.at === entry.at
}

export function onCheckFailed(draft: Draft, id: ConversationId, problem: ProblemDocument): void {
  if (problem.retry !== 'never') {
    const delayMs = backoffMs(retryBackoff, 4, draft.env.random(), problem.retryAfterMs)
    return setDeadline(draft, `check:${id}`, draft.env.now + delayMs)
  }
  const mine = draft.state.conversations.get(id)?.former?.mine ?? []
  keepDoubt(draft, id, [])
  putBack(draft, id, mine)
}

function keepDoubt(draft: Draft, id: ConversationId, mine: readonly OwnMessage[]): void {
  const former = mine.length === 0 ? null : { entries: [], mine }
  changeConversation(draft, id, (known) => ({ ...known, former }))
}

/** Puts what the server has lost into the outbox, unless it has come back into the log by another device's hand. */
function putBack(draft: Draft, id: ConversationId, lost: readonly OwnMessage[]): void {
  const known = draft.state.conversations.get(id)
  const there = new Set([...(known?.entries ?? []), ...(known?.ahead ?? [])].map(({ entryId }) => entryId))
  for (const message of lost) {
    const { entryId } = message
    if (there.has(entryId) || findItem(draft, entryId) !== undefined) continue
    addItem(draft, { ...toRecord(message), problem: notKept }, { stored: true, maybeSent: false })
    const item = findItem(draft, entryId)
    if (item !== undefined) draft.effects.push({ type: 'not-kept', item })
  }
}

const notKept = sdkProblemDocument('sdk/not-kept')
