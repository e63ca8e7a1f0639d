import { cut, end, onClosed, onConnectionDeadline, onNetwork, onOpenFailed, open, restart, wake } from './connection.ts'
import {
  askForCursors,
  markRead,
  moveCursors,
  noteTyping,
  onCursorsFailed,
  onCursorsListed,
  signalTyping,
} from './cursors.ts'
import {
  changeConversation,
  clearDeadline,
  createDraft,
  own,
  putConversation,
  sendCommand,
  type Draft,
} from './draft.ts'
import { onEntries, onFrame, onObserved, onSyncDeadline, requestSync, upsert } from './frames.ts'
import { checkFormer, onCheckFailed, onChecked } from './former.ts'
import { hasGap, receiveOlder, receiveRepair } from './log.ts'
import {
  acknowledge,
  acknowledgeFromLog,
  addItem,
  dropItem,
  flush,
  markStored,
  refuse,
  replaceOutbox,
  retryItem,
} from './outbox.ts'
import { loadOlder, onRangeFailed, repair } from './ranges.ts'
import type { ConversationInput, Effect, Env, Input, OutboxInput, SyncState } from './state.ts'
import type { ConversationId, ProblemDocument, UserId } from '@sotto/protocol'

/** What came of one step. */
export interface Stepped {
  readonly state: SyncState
  readonly effects: readonly Effect[]
  /** Conversations whose snapshot may have changed. */
  readonly touched: ReadonlySet<ConversationId>
  /** When the engine wants its next `tick`, on the monotonic clock; null when only others can move it. */
  readonly nextTickAt: number | null
}

/**
 * The sync engine: state and input in, next state and effects out. It reads no clock, draws no randomness of its own,
 * waits for nothing and never changes the state it was given, so that a simulator can run years of bad networks.
 *
 * Invariants, whatever the network drops, repeats, reorders or delays: the window of a conversation is gapless and each
 * entry is in it once; a message leaves the outbox only when the server has it; messages of one conversation arrive in
 * the order in which they were sent; cursors only move forward; the unread number is the server's plus what came later.
 */
export function step(state: SyncState, input: Input, env: Env): Stepped {
  const draft = createDraft(state, env)
  apply(draft, input)
  return { state: draft.state, effects: draft.effects, touched: draft.touched, nextTickAt: nextTickAt(draft.state) }
}

function nextTickAt({ deadlines }: SyncState): number | null {
  let first: number | null = null
  for (const at of deadlines.values()) if (first === null || at < first) first = at
  return first
}

function apply(draft: Draft, input: Input): void {
  switch (input.type) {
    case 'start':
      return start(draft, input)
    case 'restart':
      return restart(draft)
    case 'end':
      return end(draft, input.reason, input.problem)
    case 'tick':
      return tick(draft)
    case 'wake':
      return wake(draft)
    case 'network':
      return onNetwork(draft, input.offline)
    case 'open-failed':
      return onOpenFailed(draft, input.attempt, input.problem)
    case 'closed':
      return onClosed(draft, input.attempt, input.code)
    case 'frame':
      return onFrame(draft, input.attempt, input.frame)
    case 'watch':
      draft.state.watched = input.userIds
      if (draft.state.link.phase === 'live') sendCommand(draft, 'presence.watch', { userIds: [...input.userIds] })
      return
    case 'own-presence':
      draft.state.ownPresence = input.state
      if (draft.state.link.phase === 'live') sendCommand(draft, 'presence.set', { state: input.state })
      return
    default:
      return isForOutbox(input) ? applyToOutbox(draft, input) : applyToConversation(draft, input)
  }
}

function isForOutbox(input: ConversationInput | OutboxInput): input is OutboxInput {
  return input.type === 'leader' || input.type.startsWith('outbox-')
}

function applyToConversation(draft: Draft, input: ConversationInput): void {
  switch (input.type) {
    case 'summary':
      return upsert(draft, input.conversation)
    case 'observe':
      return observe(draft, input.id, input.observed)
    case 'load-older':
      return loadOlder(draft, input.id)
    case 'range':
      return onRange(draft, input)
    case 'range-failed':
      if (draft.state.conversations.get(input.id)?.logNumber !== input.logNumber) return
      if (input.purpose === 'check') onCheckFailed(draft, input.id, input.problem)
      else onRangeFailed(draft, input.id, input.purpose, input.problem)
      // Not found: the user may have been removed, which only a sync can tell.
      return input.problem.retry === 'never' ? requestSync(draft) : undefined
    case 'cursors':
      return onCursorsListed(draft, input.id, input.asked, input.items)
    case 'cursors-failed':
      return onCursorsFailed(draft, input.id, input.problem)
    case 'mark-read':
      return markRead(draft, input.id, input.seq)
    case 'typing':
      return signalTyping(draft, input.id, input.typing)
  }
}

function applyToOutbox(draft: Draft, input: OutboxInput): void {
  switch (input.type) {
    case 'leader':
      draft.state.leader = input.leader
      if (input.outbox !== null) replaceOutbox(draft, input.outbox)
      for (const id of draft.state.outbox.keys()) flush(draft, id)
      return
    case 'outbox-add':
      changeConversation(draft, input.record.conversationId, (known) =>
        known.typingSentAt === null ? known : { ...known, typingSentAt: null },
      )
      return addItem(draft, input.record, { stored: input.stored, maybeSent: input.maybeSent ?? false })
    case 'outbox-stored':
      return markStored(draft, input.entryId)
    case 'outbox-drop':
      return dropItem(draft, input.entryId)
    case 'outbox-retry':
      return retryItem(draft, input.entryId)
    case 'outbox-sent':
      return acknowledge(draft, input.entryId, input.sent)
    case 'outbox-refused':
      refuse(draft, input.entryId, input.problem)
      if (input.problem.retry === 'after-reauth') cut(draft, 'reauth', input.problem)
      return input.problem.retry === 'after-sync' ? requestSync(draft) : undefined
  }
}

function start(draft: Draft, { me, restored }: Extract<Input, { type: 'start' }>): void {
  draft.state.me = me
  draft.state.token = restored.token
  for (const summary of restored.conversations) upsert(draft, summary)
  for (const record of restored.outbox) addItem(draft, record, { stored: true, maybeSent: true })
  if (draft.state.link.phase === 'idle') open(draft)
}

function observe(draft: Draft, id: ConversationId, observed: boolean): void {
  const observing = new Set(draft.state.observing)
  if (observed) observing.add(id)
  else observing.delete(id)
  draft.state.observing = observing
  changeConversation(draft, id, (known) => ({ ...known, observed }))
  if (observed) return onObserved(draft, id)
  if (draft.state.conversations.get(id)?.removed === true) own(draft, 'conversations').delete(id)
}

function onRange(draft: Draft, { id, purpose, logNumber, range }: Extract<Input, { type: 'range' }>): void {
  const known = draft.state.conversations.get(id)
  if (known === undefined || known.removed || known.logNumber !== logNumber || draft.state.me === null) return
  acknowledgeFromLog(draft, range.items)
  if (purpose === 'check') return onChecked(draft, id, range.items)
  if (purpose === 'older') return putConversation(draft, receiveOlder(known, range))
  const current = draft.state.conversations.get(id) ?? known
  // It was asked for on an earlier connection. The next one may be to a server with another log.
  if (draft.state.link.phase !== 'live') return putConversation(draft, { ...current, repairing: false })
  const received = receiveRepair(current, range, draft.state.me)
  putConversation(draft, received)
  // An answer that brings nothing is no progress: asking again at once would go on for ever.
  if (hasGap(received) && received.heldTo === current.heldTo) return onRangeFailed(draft, id, purpose, nothingNew)
  onEntries(draft, id, range.items)
}

const nothingNew: ProblemDocument = {
  type: 'about:blank',
  title: 'The range was empty',
  status: 200,
  code: 'sdk/unexpected-reply',
  retry: 'after-delay',
}

/** Does everything that is due. */
function tick(draft: Draft): void {
  const due = [...draft.state.deadlines].filter(([, at]) => at <= draft.env.now)
  for (const [key] of due) {
    // An earlier one of this tick may have moved or cleared it.
    const at = draft.state.deadlines.get(key)
    if (at === undefined || at > draft.env.now) continue
    clearDeadline(draft, key)
    if (!onConnectionDeadline(draft, key)) onDeadline(draft, key)
  }
}

function onDeadline(draft: Draft, key: string): void {
  const [what, id, userId] = key.split(':') as [string, ConversationId, UserId]
  if (what === 'cursors') moveCursors(draft)
  if (what === 'sync') onSyncDeadline(draft)
  if (what === 'send') flush(draft, id)
  if (what === 'repair') repair(draft, id)
  if (what === 'ask') askForCursors(draft, id)
  if (what === 'check') checkFormer(draft, id)
  if (what === 'typing') noteTyping(draft, id, userId, false)
}
