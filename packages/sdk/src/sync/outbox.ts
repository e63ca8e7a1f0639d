import type { ConversationId, Entry, EntryId, ProblemDocument, Sent } from '@sotto/protocol'
import { backoffMs, retryBackoff } from './backoff.ts'
import { changeConversation, own, sendCommand, setDeadlineNoLater, type Draft } from './draft.ts'
import type { OutboxItem, OutboxRecord, StoredOutbox } from './state.ts'

/** After so many failed attempts to open a socket, messages go by HTTP. */
const HTTP_AFTER_FAILURES = 2

export function queueOf(draft: Draft, id: ConversationId): readonly OutboxItem[] {
  return draft.state.outbox.get(id) ?? []
}

export function findItem(draft: Draft, entryId: EntryId): OutboxItem | undefined {
  for (const queue of draft.state.outbox.values()) {
    const item = queue.find((candidate) => candidate.entryId === entryId)
    if (item !== undefined) return item
  }
  return undefined
}

function putQueue(draft: Draft, id: ConversationId, queue: readonly OutboxItem[]): void {
  if (queue.length === 0) own(draft, 'outbox').delete(id)
  else own(draft, 'outbox').set(id, queue)
  draft.touched.add(id)
}

function changeItem(draft: Draft, item: OutboxItem, change: Partial<OutboxItem>): OutboxItem {
  const changed = { ...item, ...change }
  putQueue(
    draft,
    item.conversationId,
    queueOf(draft, item.conversationId).map((other) => (other.entryId === item.entryId ? changed : other)),
  )
  return changed
}

/**
 * Puts a message into its place in the queue; one that is there already stays as it is.
 *
 * @param options.maybeSent  it comes from the disk: who has put it there may have sent it too
 */
export function addItem(
  draft: Draft,
  record: OutboxRecord,
  { stored, maybeSent }: Pick<OutboxItem, 'stored' | 'maybeSent'>,
): void {
  if (findItem(draft, record.entryId) !== undefined) return
  const item: OutboxItem = {
    ...record,
    state: record.problem === null ? 'waiting' : 'failed',
    stored,
    failures: 0,
    notBefore: 0,
    afterSync: false,
    seq: null,
    maybeSent,
  }
  const queue = [...queueOf(draft, record.conversationId), item]
  putQueue(draft, record.conversationId, queue.toSorted(byOrder))
  flush(draft, record.conversationId)
}

/** Two tabs may give the same place: then the id decides, the same way everywhere. */
function byOrder(left: OutboxItem, right: OutboxItem): number {
  return left.order - right.order || (left.entryId < right.entryId ? -1 : 1)
}

/** What of a message is kept on the disk. */
export function toRecord(item: OutboxRecord): OutboxRecord {
  const { entryId, conversationId, order, payload, header, clientSentAt, problem } = item
  return { entryId, conversationId, order, payload, header, clientSentAt, problem }
}

export function markStored(draft: Draft, entryId: EntryId): void {
  const item = findItem(draft, entryId)
  if (item === undefined) return
  changeItem(draft, item, { stored: true })
  flush(draft, item.conversationId)
}

export function dropItem(draft: Draft, entryId: EntryId): void {
  const item = findItem(draft, entryId)
  if (item === undefined || item.state === 'sent') return
  removeItem(draft, item)
  flush(draft, item.conversationId)
}

export function removeItem(draft: Draft, item: OutboxItem): void {
  const rest = queueOf(draft, item.conversationId).filter((other) => other.entryId !== item.entryId)
  putQueue(draft, item.conversationId, rest)
}

/** The user tries again what had failed. */
export function retryItem(draft: Draft, entryId: EntryId): void {
  const item = findItem(draft, entryId)
  if (item === undefined || item.state !== 'failed') return
  changeItem(draft, item, { state: 'waiting', problem: null, failures: 0, notBefore: 0, afterSync: false })
  flush(draft, item.conversationId)
}

/**
 * The stored outbox as another tab has left it: what is missing there was sent, unless it was stored only after the look
 * at the disk had begun; what is new there waits here too. Any of it the other tab may have sent.
 */
export function replaceOutbox(draft: Draft, { records, heldBefore }: StoredOutbox): void {
  const stored = new Set(records.map(({ entryId }) => entryId))
  for (const item of [...draft.state.outbox.values()].flat()) {
    if (item.state === 'sent') continue
    if (heldBefore.has(item.entryId) && !stored.has(item.entryId)) removeItem(draft, item)
    else if (item.stored) changeItem(draft, item, { maybeSent: true })
  }
  for (const record of records) addItem(draft, record, { stored: true, maybeSent: true })
}

/** Whether nobody else can have the message, so that to forget it here is to take it back. */
export function isTakenBack({ state, maybeSent }: OutboxItem): boolean {
  return state === 'failed' || (state === 'waiting' && !maybeSent)
}

export function flushAll(draft: Draft): void {
  for (const id of draft.state.outbox.keys()) flush(draft, id)
}

/** Sends the head of one queue if it may go now: one message per conversation is under way, so that order is kept. */
export function flush(draft: Draft, id: ConversationId): void {
  const { link, leader } = draft.state
  const head = queueOf(draft, id).find((item) => item.state === 'waiting' || item.state === 'sending')
  if (head === undefined || head.state === 'sending' || !leader || !head.stored || head.afterSync) return
  const byHttp = link.failures >= HTTP_AFTER_FAILURES && link.phase !== 'ended' && !link.offline
  if (link.phase !== 'live' && !byHttp) return
  if (head.notBefore > draft.env.now) {
    setDeadlineNoLater(draft, `send:${id}`, head.notBefore)
    return
  }
  const item = changeItem(draft, head, { state: 'sending' })
  if (link.phase !== 'live') {
    draft.effects.push({ type: 'send-http', item })
    return
  }
  const { conversationId, entryId, payload, header, clientSentAt } = item
  const body = { conversationId, entryId, payload, header, clientSentAt }
  sendCommand(draft, 'message.send', body, { conversationId, entryId })
}

/** The server has it. Only now it leaves the disk; it stays visible until its entry arrives. */
export function acknowledge(draft: Draft, entryId: EntryId, sent: Sent): void {
  const item = findItem(draft, entryId)
  if (item === undefined || item.state === 'sent') return
  const settled = changeItem(draft, item, { state: 'sent', seq: sent.seq, problem: null })
  draft.effects.push({ type: 'settled', item: settled, sent })
  changeConversation(draft, item.conversationId, (conversation) =>
    sent.seq <= conversation.knownLast ? conversation : { ...conversation, knownLast: sent.seq },
  )
  dropArrived(draft, item.conversationId)
  flush(draft, item.conversationId)
}

/** An own entry in the log proves that its message was taken, even if the answer to it was lost. */
export function acknowledgeFromLog(draft: Draft, entries: readonly Entry[]): void {
  if (draft.state.outbox.size === 0) return
  for (const entry of entries) {
    if (entry.sender.userId !== draft.state.me) continue
    const { entryId, seq, countable, at } = entry
    acknowledge(draft, entryId, { entryId, seq, countable, at })
  }
}

/** Forgets sent messages whose entry is in the window, or is older than it. */
export function dropArrived(draft: Draft, id: ConversationId): void {
  const known = draft.state.conversations.get(id)
  const queue = queueOf(draft, id)
  if (queue.length === 0 || (known === undefined && !draft.state.synced)) return
  // Where the user is no member any more, no entry will arrive.
  const heldTo = known === undefined || known.removed ? Number.POSITIVE_INFINITY : known.heldTo
  const rest = queue.filter((item) => item.seq === null || item.seq > heldTo)
  if (rest.length !== queue.length) putQueue(draft, id, rest)
}

/** The server has refused it, or could not be reached. What happens next is the problem's own advice. */
export function refuse(draft: Draft, entryId: EntryId, problem: ProblemDocument): void {
  const item = findItem(draft, entryId)
  if (item === undefined || item.state === 'sent' || item.state === 'failed') return
  const failures = item.failures + 1
  if (problem.retry === 'never') {
    const failed = changeItem(draft, item, { state: 'failed', problem, failures })
    draft.effects.push({ type: 'failed', item: failed, problem })
    flush(draft, item.conversationId)
    return
  }
  const delayMs = backoffMs(retryBackoff, failures, draft.env.random(), problem.retryAfterMs)
  const notBefore = draft.env.now + delayMs
  const afterSync = problem.retry === 'after-sync'
  // Only a refusal of the request itself says that nothing has happened.
  const isClear = problem.status >= 400 && problem.status < 500
  const maybeSent = item.maybeSent || !isClear
  changeItem(draft, item, { state: 'waiting', failures, notBefore, afterSync, maybeSent })
  setDeadlineNoLater(draft, `send:${item.conversationId}`, notBefore)
}

/** The socket is gone and took the answers with it: what was under way on it is sent again, under the same id. */
export function requeue(draft: Draft, entryIds: ReadonlySet<EntryId>): void {
  for (const entryId of entryIds) {
    const item = findItem(draft, entryId)
    if (item?.state === 'sending') changeItem(draft, item, { state: 'waiting', maybeSent: true })
  }
}

/** A sync has ended: what waited for one may go. */
export function releaseAfterSync(draft: Draft): void {
  for (const item of [...draft.state.outbox.values()].flat()) {
    if (item.afterSync) changeItem(draft, item, { afterSync: false })
  }
}
