import type { ConversationId, Cursor, MovedCursor, ProblemDocument, UserId } from '@sotto/protocol'
import { limitTable } from '../contract.generated.ts'
import { backoffMs, retryBackoff } from './backoff.ts'
import {
  changeConversation,
  clearDeadline,
  putConversation,
  sendCommand,
  setDeadline,
  setDeadlineNoLater,
  type Draft,
} from './draft.ts'
import { windowStart } from './log.ts'
import { noteExists } from './ranges.ts'
import type { ConversationState } from './state.ts'
import { adoptUnread } from './unread.ts'

/** Cursors move at most this often; what comes meanwhile is one movement to the latest place. */
const CURSORS_EVERY_MS = 500
/** A first movement waits this long for the rest of a burst. */
const CURSORS_SOON_MS = 20
/** Conversations whose cursor moves at a time: well within the limit of commands, whatever a sync has brought. */
const CURSORS_AT_A_TIME = 10
/** A typing signal is repeated before it would fade at the others. */
const TYPING_EVERY_MS = limitTable.typingMs * 0.6

/** Says that this device has what it holds, unless all of it is the user's own. */
export function noteDelivered(draft: Draft, id: ConversationId): void {
  const conversation = draft.state.conversations.get(id)
  if (conversation === undefined) return
  const { own, heldTo, entries } = conversation
  if (heldTo <= own.wantDelivered) return
  const covered = windowStart(conversation) <= own.wantDelivered + 1
  const allMine = covered && entries.every((e) => e.seq <= own.wantDelivered || e.sender.userId === draft.state.me)
  if (allMine) return
  putConversation(draft, { ...conversation, own: { ...own, wantDelivered: heldTo } })
  scheduleCursors(draft)
}

/** Moves the user's read cursor forward, no further than what this device holds: nobody has read what is in a gap. */
export function markRead(draft: Draft, id: ConversationId, seq: number): void {
  changeConversation(draft, id, (conversation) => {
    const wantRead = Math.min(seq, conversation.heldTo)
    if (!(wantRead > conversation.own.wantRead)) return conversation
    return { ...conversation, own: { ...conversation.own, wantRead } }
  })
  scheduleCursors(draft)
}

export function scheduleCursors(draft: Draft): void {
  const at = Math.max(draft.env.now + CURSORS_SOON_MS, draft.state.cursorsMovedAt + CURSORS_EVERY_MS)
  setDeadlineNoLater(draft, 'cursors', at)
}

/** Sends the cursors that have somewhere to go. While the socket is away they keep: the next one takes them along. */
export function moveCursors(draft: Draft): void {
  clearDeadline(draft, 'cursors')
  if (draft.state.link.phase !== 'live') return
  const waiting = [...draft.state.conversations.values()].filter(wantsToMove)
  if (waiting.length === 0) return
  draft.state.cursorsMovedAt = draft.env.now
  for (const conversation of waiting.slice(0, CURSORS_AT_A_TIME)) {
    const { own, id } = conversation
    putConversation(draft, { ...conversation, own: { ...own, moving: true } })
    sendCommand(
      draft,
      'cursor.move',
      {
        conversationId: id,
        ...(own.wantDelivered > own.deliveredSeq ? { deliveredSeq: own.wantDelivered } : {}),
        ...(own.wantRead > own.readSeq ? { readSeq: own.wantRead } : {}),
      },
      { conversationId: id },
    )
  }
  if (waiting.length > CURSORS_AT_A_TIME) scheduleCursors(draft)
}

function wantsToMove({ own, can, removed }: ConversationState): boolean {
  if (removed || own.moving || !can.includes('cursor.move')) return false
  return own.wantDelivered > own.deliveredSeq || own.wantRead > own.readSeq
}

/** The server's word on the user's own cursor and unread number. */
export function adoptOwnCursor(draft: Draft, id: ConversationId, cursor: Cursor & Partial<MovedCursor>): void {
  changeConversation(draft, id, (conversation) => {
    const { own, unread } = conversation
    const { unread: number, asOfSeq, readSeq, deliveredSeq } = cursor
    const counted = number !== undefined && asOfSeq !== undefined
    return {
      ...conversation,
      own: {
        ...own,
        deliveredSeq: Math.max(own.deliveredSeq, deliveredSeq),
        readSeq: Math.max(own.readSeq, readSeq),
        wantDelivered: Math.max(own.wantDelivered, deliveredSeq),
        wantRead: Math.max(own.wantRead, readSeq),
      },
      unread: counted ? adoptUnread(unread, { unread: number, asOfSeq, readSeq }) : unread,
    }
  })
  noteExists(draft, id, Math.max(cursor.asOfSeq ?? 0, cursor.deliveredSeq, cursor.readSeq))
}

export function onCursorMoved(draft: Draft, id: ConversationId, moved: MovedCursor): void {
  changeConversation(draft, id, (conversation) => ({ ...conversation, own: { ...conversation.own, moving: false } }))
  adoptOwnCursor(draft, id, moved)
  const conversation = draft.state.conversations.get(id)
  if (conversation !== undefined && wantsToMove(conversation)) scheduleCursors(draft)
}

/** A cursor that cannot be moved is given up until there is a new reason to move it; one that may later, waits. */
export function onCursorRefused(draft: Draft, id: ConversationId, problem: ProblemDocument): void {
  const later = problem.retry === 'after-delay'
  changeConversation(draft, id, (conversation) => {
    const { own } = conversation
    const given = later ? own : { ...own, wantDelivered: own.deliveredSeq, wantRead: own.readSeq }
    return { ...conversation, own: { ...given, moving: false } }
  })
  if (!later) return
  const delayMs = backoffMs(retryBackoff, 3, draft.env.random(), problem.retryAfterMs)
  setDeadline(draft, 'cursors', draft.env.now + delayMs)
}

/** Asks how far the other members are. Frames tell from then on. */
export function askForCursors(draft: Draft, id: ConversationId): void {
  const conversation = draft.state.conversations.get(id)
  clearDeadline(draft, `ask:${id}`)
  if (conversation === undefined || !conversation.observed || conversation.removed) return
  if (draft.state.link.phase !== 'live') return
  const asked = conversation.cursorsAsked + 1
  putConversation(draft, { ...conversation, cursorsAsked: asked })
  draft.effects.push({ type: 'list-cursors', id, asked })
}

/** All cursors at once: who is not among them is no longer a member. An answer to an older question is out of date. */
export function onCursorsListed(draft: Draft, id: ConversationId, asked: number, items: readonly Cursor[]): void {
  if (draft.state.conversations.get(id)?.cursorsAsked !== asked) return
  adoptCursors(draft, id, items)
  changeConversation(draft, id, (known) => {
    const members = new Set(items.map(({ userId }) => userId))
    const cursors = new Map([...known.cursors].filter(([userId]) => members.has(userId)))
    return cursors.size === known.cursors.size ? known : { ...known, cursors }
  })
}

export function onCursorsFailed(draft: Draft, id: ConversationId, problem: ProblemDocument): void {
  if (problem.retry === 'never') return
  const delayMs = backoffMs(retryBackoff, 4, draft.env.random(), problem.retryAfterMs)
  setDeadline(draft, `ask:${id}`, draft.env.now + delayMs)
}

/** Other members' cursors: forward only, so that frames in any order end at the same place. */
export function adoptCursors(draft: Draft, id: ConversationId, items: readonly Cursor[]): void {
  changeConversation(draft, id, (conversation) => {
    const cursors = new Map(conversation.cursors)
    let changed = false
    for (const { userId, deliveredSeq, readSeq } of items) {
      if (userId === draft.state.me) continue
      const known = cursors.get(userId)
      const next = {
        userId,
        deliveredSeq: Math.max(known?.deliveredSeq ?? 0, deliveredSeq, readSeq),
        readSeq: Math.max(known?.readSeq ?? 0, readSeq),
      }
      if (known?.deliveredSeq === next.deliveredSeq && known.readSeq === next.readSeq) continue
      cursors.set(userId, next)
      changed = true
    }
    return changed ? { ...conversation, cursors } : conversation
  })
  noteExists(draft, id, Math.max(0, ...items.map(({ deliveredSeq, readSeq }) => Math.max(deliveredSeq, readSeq))))
}

/** Someone else types, or has stopped. The signal fades by itself. */
export function noteTyping(draft: Draft, id: ConversationId, userId: UserId, isTyping: boolean): void {
  if (userId === draft.state.me) return
  const key = `typing:${id}:${userId}`
  if (isTyping) setDeadline(draft, key, draft.env.now + limitTable.typingMs)
  else clearDeadline(draft, key)
  changeConversation(draft, id, (conversation) => {
    if (conversation.typing.has(userId) === isTyping) return conversation
    const typing = new Set(conversation.typing)
    if (isTyping) typing.add(userId)
    else typing.delete(userId)
    return { ...conversation, typing }
  })
}

/** The user types here: told to the others at most every few seconds, and at once when it stops. */
export function signalTyping(draft: Draft, id: ConversationId, isTyping: boolean): void {
  const conversation = draft.state.conversations.get(id)
  if (conversation === undefined || draft.state.link.phase !== 'live' || !conversation.can.includes('typing.signal')) {
    return
  }
  const sinceMs = draft.env.now - (conversation.typingSentAt ?? Number.NEGATIVE_INFINITY)
  const due = isTyping ? sinceMs >= TYPING_EVERY_MS : sinceMs < limitTable.typingMs
  if (!due) return
  putConversation(draft, { ...conversation, typingSentAt: isTyping ? draft.env.now : null })
  sendCommand(draft, 'typing.signal', { conversationId: id, typing: isTyping })
}
