import type {
  CommandReply,
  Conversation,
  ConversationId,
  Entry,
  Frame,
  FrameOf,
  MovedCursor,
  ProblemDocument,
  Sent,
  Sync,
} from '@sotto/protocol'
import { backoffMs, retryBackoff } from './backoff.ts'
import { cut, end, heard, isOpen, onAnswer, onLive } from './connection.ts'
import {
  adoptCursors,
  adoptOwnCursor,
  askForCursors,
  noteDelivered,
  noteTyping,
  onCursorMoved,
  onCursorRefused,
  scheduleCursors,
} from './cursors.ts'
import { changeConversation, own, putConversation, sendCommand, setDeadline, setLink, type Draft } from './draft.ts'
import { forgetLogs, judgeFormer } from './former.ts'
import { createConversation, mergeSummary, receiveEntries } from './log.ts'
import { acknowledge, acknowledgeFromLog, dropArrived, flushAll, refuse, releaseAfterSync } from './outbox.ts'
import { loadFirstPage, planRepair, repair } from './ranges.ts'
import type { AnyFrame, PendingCommand } from './state.ts'

/** Entries that wait for the first sync of a connection. */
const EARLY_MAX = 500

/** Handles one frame. An `op` that this version does not know is a newer server's, and is left alone. */
export function onFrame(draft: Draft, attempt: number, anyFrame: AnyFrame): void {
  if (attempt !== draft.state.link.attempt) return
  const frame = anyFrame as Frame
  if (frame.op === 'hello') return onHello(draft, frame)
  if (!isOpen(draft.state)) return
  heard(draft)
  switch (frame.op) {
    case 'reply':
      return onReply(draft, frame.id, frame.result)
    case 'error':
      return onError(draft, frame)
    case 'entry':
      return onEntryFrame(draft, frame.entry)
    case 'cursor':
      return onCursor(draft, frame)
    case 'typing':
      return noteTyping(draft, frame.conversationId, frame.userId, frame.typing)
    case 'presence':
      own(draft, 'presence').set(frame.presence.userId, frame.presence.state)
      return
    case 'capabilities':
      return onCapabilities(draft, frame)
    case 'conversation':
      changeConversation(draft, frame.conversationId, (conversation) => ({
        ...conversation,
        membersVersion: conversation.membersVersion + 1,
      }))
      return requestSync(draft)
    case 'session':
      return onSession(draft, frame)
  }
}

function onHello(draft: Draft, { userId, heartbeatMs, reconnectSpreadMs }: FrameOf<'hello'>): void {
  if (draft.state.link.phase !== 'opening') return
  // What is stored here belongs to one user. Another one's token must not see it.
  if (userId !== draft.state.me) return end(draft, 'other-user')
  own(draft, 'deadlines').delete('open')
  setLink(draft, { phase: 'syncing', heartbeatMs, spreadMs: reconnectSpreadMs })
  draft.state.early = []
  heard(draft)
  // Without a token this server cannot say that it knows another log than the one that was asked in vain before.
  if (draft.state.token === null) forgetLogs(draft)
  startSync(draft)
}

function onEntryFrame(draft: Draft, entry: Entry): void {
  const { early } = draft.state
  if (early === null) return onEntries(draft, entry.conversationId, [entry])
  // More than can wait: a second sync brings what is dropped here.
  if (early.length < EARLY_MAX) draft.state.early = [...early, entry]
  else setLink(draft, { syncAgain: true })
}

/** How long there is left is told by the server's clock on both sides: the device's may be wrong by years. */
function onSession(draft: Draft, frame: FrameOf<'session'>): void {
  if (frame.state === 'ended') return setLink(draft, { freshToken: true })
  if (frame.state === 'active') return setLink(draft, { expiring: null })
  const leftMs = Date.parse(frame.endsAt) - Date.parse(frame.at)
  setLink(draft, { expiring: { reason: frame.reason, endsAt: draft.env.now + leftMs } })
}

function startSync(draft: Draft): void {
  const { token } = draft.state
  if (token === null) draft.state.seen = new Set()
  sendCommand(draft, 'conversation.sync', token === null ? {} : { token })
}

/** Something changed: sync now, or once more after the one that is under way. */
export function requestSync(draft: Draft): void {
  const underWay = [...draft.state.commands.values()].some(({ op }) => op === 'conversation.sync')
  if (underWay || draft.state.link.phase === 'syncing') setLink(draft, { syncAgain: true })
  else if (draft.state.link.phase === 'live' && !draft.state.deadlines.has('sync')) startSync(draft)
}

/** The pause after a failed sync is over. */
export function onSyncDeadline(draft: Draft): void {
  if (isOpen(draft.state)) startSync(draft)
}

function onReply(draft: Draft, id: number, result: unknown): void {
  const command = draft.state.commands.get(id)
  if (command === undefined) return
  own(draft, 'commands').delete(id)
  onAnswer(draft)
  const { op, conversationId, entryId } = command
  if (op === 'conversation.sync') onSynced(draft, result as Sync)
  if (op === 'message.send' && entryId !== undefined) acknowledge(draft, entryId, result as Sent)
  if (op === 'message.send' && conversationId !== undefined) planRepair(draft, conversationId, 'echo')
  if (op === 'cursor.move' && conversationId !== undefined) onCursorMoved(draft, conversationId, result as MovedCursor)
  if (op === 'presence.watch') {
    const presence = own(draft, 'presence')
    for (const { userId, state } of (result as CommandReply<'presence.watch'>).items) presence.set(userId, state)
  }
}

function onError(draft: Draft, { id, problem }: FrameOf<'error'>): void {
  const command = id === null ? undefined : draft.state.commands.get(id)
  if (id === null || command === undefined) return
  // The session is over for every command: a fresh token and a new socket, then everything is sent again.
  if (problem.retry === 'after-reauth') return cut(draft, 'reauth', problem)
  own(draft, 'commands').delete(id)
  onAnswer(draft)
  onRefused(draft, command, problem)
}

function onRefused(draft: Draft, command: PendingCommand, problem: ProblemDocument): void {
  const { op, conversationId, entryId } = command
  if (op === 'conversation.sync') return onSyncRefused(draft, problem)
  if (op === 'message.send' && entryId !== undefined) refuse(draft, entryId, problem)
  if (op === 'cursor.move' && conversationId !== undefined) onCursorRefused(draft, conversationId, problem)
  if (problem.retry === 'after-sync') requestSync(draft)
}

function onSyncRefused(draft: Draft, problem: ProblemDocument): void {
  if (problem.retry === 'after-sync') {
    // The token is too old, or of another deployment, whose log may have gone back in time: all is asked for anew.
    draft.state.token = null
    forgetLogs(draft)
    return startSync(draft)
  }
  if (problem.retry === 'never') return cut(draft, 'reconnect-later', problem)
  const delayMs = backoffMs(retryBackoff, 3, draft.env.random(), problem.retryAfterMs)
  setDeadline(draft, 'sync', draft.env.now + delayMs)
}

function onSynced(draft: Draft, { changed, removed, token, more }: Sync): void {
  const { state } = draft
  const anew = state.token === null
  state.token = token
  if (state.seen !== null) state.seen = new Set([...state.seen, ...changed.map((summary) => summary.conversationId)])
  for (const summary of changed) upsert(draft, summary)
  for (const id of removed) remove(draft, id)
  const early = state.early ?? []
  state.early = null
  for (const entry of early) onEntries(draft, entry.conversationId, [entry])
  draft.effects.push({ type: 'remember', token, changed, removed, anew })
  if (more) return startSync(draft)
  finishSync(draft)
}

function finishSync(draft: Draft): void {
  const { state } = draft
  if (state.seen !== null) {
    for (const id of state.conversations.keys()) if (!state.seen.has(id)) remove(draft, id)
    state.seen = null
  }
  state.synced = true
  for (const id of state.outbox.keys()) dropArrived(draft, id)
  if (state.link.phase === 'syncing') becomeLive(draft)
  releaseAfterSync(draft)
  flushAll(draft)
  if (!state.link.syncAgain) return
  setLink(draft, { syncAgain: false })
  startSync(draft)
}

/** Everything arrives by itself from now on. What was missed meanwhile and comes by no entry is asked for. */
function becomeLive(draft: Draft): void {
  onLive(draft)
  const { watched, ownPresence, observing } = draft.state
  if (watched.length > 0) sendCommand(draft, 'presence.watch', { userIds: [...watched] })
  if (ownPresence === 'away') sendCommand(draft, 'presence.set', { state: ownPresence })
  for (const id of observing) onObserved(draft, id)
  for (const id of draft.state.conversations.keys()) repair(draft, id)
  scheduleCursors(draft)
}

/** Someone looks at a conversation: its last page and the cursors of its members are wanted. */
export function onObserved(draft: Draft, id: ConversationId): void {
  if (!draft.state.conversations.has(id)) return
  askForCursors(draft, id)
  loadFirstPage(draft, id)
  planRepair(draft, id, 'now')
}

/** Takes a summary: of a sync, or of an operation that answers one. */
export function upsert(draft: Draft, summary: Conversation): void {
  const { conversations, observing, me, link } = draft.state
  if (me === null) return
  const id = summary.conversationId
  const known = conversations.get(id)
  const isNew = known === undefined || known.removed
  const beginsAnew = isNew || known.stale
  const next = isNew ? createConversation(summary, observing.has(id)) : mergeSummary(known, summary, me)
  putConversation(draft, next)
  if (beginsAnew) judgeFormer(draft, id)
  if (summary.lastEntry !== null) acknowledgeFromLog(draft, [summary.lastEntry])
  dropArrived(draft, id)
  noteDelivered(draft, id)
  planRepair(draft, id, 'now')
  if (beginsAnew && next.observed && link.phase === 'live') onObserved(draft, id)
}

/** The user is no longer a member: what she may not see any more is not kept, and who looks at it is told. */
export function remove(draft: Draft, id: ConversationId): void {
  if (!draft.state.observing.has(id)) {
    if (own(draft, 'conversations').delete(id)) draft.touched.add(id)
  } else {
    changeConversation(draft, id, (known) => ({
      ...known,
      removed: true,
      can: [],
      entries: [],
      ahead: [],
      stale: false,
      former: null,
    }))
  }
  dropArrived(draft, id)
}

/** Takes entries, however they came. */
export function onEntries(draft: Draft, id: ConversationId, entries: readonly Entry[]): void {
  const { conversations, me } = draft.state
  acknowledgeFromLog(draft, entries)
  const known = conversations.get(id)
  // The user was added just now. Its summary may have been written before this entry, so another one is asked for.
  if (known === undefined || known.removed || me === null) return requestSync(draft)
  const received = receiveEntries(known, entries, me)
  putConversation(draft, received)
  for (const entry of entries) {
    noteTyping(draft, id, entry.sender.userId, false)
  }
  if (received !== known && entries.some(({ kind }) => kind === 'membership')) onMembership(draft, id)
  dropArrived(draft, id)
  noteDelivered(draft, id)
  planRepair(draft, id, 'now')
}

/** Who is a member is the server's to say: entries may arrive long after others that undo them. */
function onMembership(draft: Draft, id: ConversationId): void {
  changeConversation(draft, id, (known) => ({ ...known, membersVersion: known.membersVersion + 1 }))
  askForCursors(draft, id)
}

function onCursor(draft: Draft, { conversationId, cursor, unread, asOfSeq }: FrameOf<'cursor'>): void {
  if (cursor.userId !== draft.state.me) return adoptCursors(draft, conversationId, [cursor])
  adoptOwnCursor(draft, conversationId, {
    ...cursor,
    ...(unread === undefined ? {} : { unread }),
    ...(asOfSeq === undefined ? {} : { asOfSeq }),
  })
}

function onCapabilities(draft: Draft, { conversationId, can }: FrameOf<'capabilities'>): void {
  if (can.length === 0) remove(draft, conversationId)
  else changeConversation(draft, conversationId, (conversation) => ({ ...conversation, can }))
}
