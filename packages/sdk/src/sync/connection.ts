import type { EntryId, ProblemDocument } from '@sotto/protocol'
import { closeTable } from '../contract.generated.ts'
import { backoffMs, reconnectBackoff } from './backoff.ts'
import {
  clearDeadline,
  own,
  putConversation,
  sendCommand,
  setDeadline,
  setDeadlineNoLater,
  setLink,
  SLOW_MS,
  STUCK_MS,
  type Draft,
} from './draft.ts'
import { flushAll, requeue } from './outbox.ts'
import type { EndReason, SyncState } from './state.ts'

const OPEN_MS_MAX = 20_000
const LATER_MS = 5_000
/** A connection that lasted this long was a good one: the next failure starts counting anew. */
const STABLE_MS = 10_000
/** After a wake, an open socket must show life within this time. */
const WAKE_MS = 5_000

type Then = 'reconnect' | 'reconnect-later' | 'reauth' | 'stop'

export function isOpen({ link }: SyncState): boolean {
  return link.phase === 'syncing' || link.phase === 'live'
}

export function open(draft: Draft): void {
  const attempt = draft.state.link.attempt + 1
  const { freshToken } = draft.state.link
  clearDeadline(draft, 'reconnect')
  setLink(draft, { phase: 'opening', attempt, nextAttemptAt: null, ended: null })
  setDeadline(draft, 'open', draft.env.now + OPEN_MS_MAX)
  draft.effects.push({ type: 'open', attempt, freshToken })
}

/** The ticket could not be got. Advice of the problem decides; without an answer it is only a matter of time. */
export function onOpenFailed(draft: Draft, attempt: number, problem: ProblemDocument): void {
  const { link } = draft.state
  if (attempt !== link.attempt || link.phase !== 'opening') return
  if (problem.retry === 'after-reauth') end(draft, 'session', problem)
  else if (problem.retry === 'never') end(draft, 'refused', problem)
  else cut(draft, 'reconnect', problem)
}

export function onClosed(draft: Draft, attempt: number, code: number): void {
  if (attempt !== draft.state.link.attempt) return
  const known = (closeTable as Readonly<Record<number, Then>>)[code]
  // A code of a newer server is met with patience; anything else is the network's.
  cut(draft, known ?? (code >= 4000 ? 'reconnect-later' : 'reconnect'))
}

/** The socket is gone, or given up. What was under way on it is undone, and the next attempt is planned. */
export function cut(draft: Draft, then: Then, problem: ProblemDocument | null = null): void {
  const { phase } = draft.state.link
  if (phase === 'ended' || phase === 'waiting' || phase === 'idle') return
  if (then === 'stop') return end(draft, 'protocol', problem)
  leaveSocket(draft)
  const { failures, spreadMs, freshToken } = draft.state.link
  const random = draft.env.random()
  const first = failures === 0 && phase !== 'opening'
  const pauseMs = Math.max(then === 'reconnect-later' ? LATER_MS : 0, problem?.retryAfterMs ?? 0)
  // After a cut all clients come at once: the server says over what time they spread.
  const delayMs = first
    ? pauseMs + Math.round(random * spreadMs)
    : backoffMs(reconnectBackoff, failures, random, pauseMs)
  const nextAttemptAt = draft.env.now + delayMs
  setLink(draft, {
    phase: 'waiting',
    failures: failures + 1,
    nextAttemptAt,
    problem,
    freshToken: freshToken || then === 'reauth',
  })
  setDeadline(draft, 'reconnect', nextAttemptAt)
  flushAll(draft)
}

export function end(draft: Draft, reason: EndReason, problem: ProblemDocument | null = null): void {
  if (draft.state.link.phase === 'ended') return
  leaveSocket(draft)
  for (const key of ['reconnect', 'cursors']) clearDeadline(draft, key)
  setLink(draft, { phase: 'ended', ended: reason, problem, nextAttemptAt: null })
  draft.effects.push({ type: 'ended', reason })
}

/** Forgets what only an open socket knows: answers that are awaited, who types, who is there. */
function leaveSocket(draft: Draft): void {
  const { link, commands } = draft.state
  draft.effects.push({ type: 'close', attempt: link.attempt })
  const entryIds = new Set<EntryId>()
  for (const { entryId } of commands.values()) if (entryId !== undefined) entryIds.add(entryId)
  own(draft, 'commands').clear()
  own(draft, 'presence').clear()
  draft.state.early = null
  requeue(draft, entryIds)
  for (const key of ['open', 'ping', 'silent', 'probe', 'slow', 'stuck', 'stable', 'sync']) clearDeadline(draft, key)
  for (const conversation of draft.state.conversations.values()) {
    if (!conversation.own.moving && conversation.typing.size === 0) continue
    putConversation(draft, { ...conversation, own: { ...conversation.own, moving: false }, typing: new Set() })
  }
  setLink(draft, { slow: false, expiring: null, probe: null, syncAgain: false })
}

/** A sign of life: the silence begins anew. */
export function heard(draft: Draft): void {
  setDeadline(draft, 'silent', draft.env.now + 3 * draft.state.link.heartbeatMs)
}

export function onLive(draft: Draft): void {
  setLink(draft, { phase: 'live', wasLive: true, problem: null, freshToken: false, offline: false, probe: null })
  clearDeadline(draft, 'probe')
  setDeadline(draft, 'stable', draft.env.now + STABLE_MS)
}

/** An answer has come: the connection is as slow as the oldest one that is still awaited. */
export function onAnswer(draft: Draft): void {
  const { link, commands } = draft.state
  // Devices are wrong about their networks; an answer is not.
  if (link.probe !== null && !commands.has(link.probe)) {
    setLink(draft, { offline: false, probe: null })
    clearDeadline(draft, 'probe')
  }
  const first = commands.values().next().value
  if (first === undefined) {
    clearDeadline(draft, 'slow')
    clearDeadline(draft, 'stuck')
  } else {
    setDeadline(draft, 'slow', first.sentAt + SLOW_MS)
    setDeadline(draft, 'stuck', first.sentAt + STUCK_MS)
  }
  const slow = first !== undefined && draft.env.now - first.sentAt >= SLOW_MS
  if (draft.state.link.slow !== slow) setLink(draft, { slow })
}

/** The device came back: from sleep, from the background, to a network. Waiting makes no sense any more. */
export function wake(draft: Draft): void {
  const { phase } = draft.state.link
  if (phase === 'waiting') open(draft)
  if (!isOpen(draft.state)) return
  sendCommand(draft, 'ping', {})
  setDeadlineNoLater(draft, 'silent', draft.env.now + WAKE_MS)
}

/**
 * The device has lost its network, or has one again. A socket that seems open is asked for life at once: it is dead soon,
 * or it shows that the device is wrong.
 */
export function onNetwork(draft: Draft, offline: boolean): void {
  const probe = offline && isOpen(draft.state) ? draft.state.nextCommandId : null
  setLink(draft, { offline, probe })
  // Only the answer counts: other frames may have been on their way before.
  if (probe === null) clearDeadline(draft, 'probe')
  else setDeadline(draft, 'probe', draft.env.now + WAKE_MS)
  if (!offline || probe !== null) wake(draft)
}

export function restart(draft: Draft): void {
  const { phase } = draft.state.link
  if (phase !== 'ended' && phase !== 'waiting') return
  setLink(draft, { failures: 0, freshToken: true, problem: null })
  // Not started yet: who the user is has to be found out first, and start opens it.
  if (draft.state.me === null) setLink(draft, { phase: 'idle', ended: null })
  else open(draft)
}

/** @returns whether `key` was one of the connection's own */
export function onConnectionDeadline(draft: Draft, key: string): boolean {
  switch (key) {
    case 'reconnect':
      open(draft)
      return true
    // Half-open or stuck: nobody will say that this socket is dead.
    case 'open':
    case 'silent':
    case 'probe':
    case 'stuck':
      cut(draft, 'reconnect')
      return true
    case 'ping':
      if (isOpen(draft.state)) sendCommand(draft, 'ping', {})
      return true
    case 'slow':
      setLink(draft, { slow: draft.state.commands.size > 0 })
      return true
    case 'stable':
      setLink(draft, { failures: 0 })
      return true
    default:
      return false
  }
}
