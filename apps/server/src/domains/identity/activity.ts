import type { SessionId } from '@sotto/protocol'
import { createBoundedMap } from '../../platform/crypto/bounded-map.ts'
import { instant, type Instant } from '../../platform/time/clock.ts'

/** An act is written at most this often for each session; in between this node remembers it. */
export const ACTIVITY_WRITE_MS = 30_000
const SESSIONS_MAX = 100_000

/**
 * Acts of sessions that this node has seen and not written yet. Losing it (a restart, another node) makes a session idle
 * at most 30 seconds early, never late.
 */
export interface Activity {
  /** The last act seen here; 0 when there was none. */
  lastActAt(sessionId: SessionId): Instant
  /** @returns whether the act is worth writing down now */
  isDue(sessionId: SessionId, now: Instant): boolean
  /** An act of a session that is known to live. */
  noteAct(sessionId: SessionId, now: Instant): void
  noteWritten(sessionId: SessionId, now: Instant): void
}

interface Seen {
  readonly actAt: Instant
  readonly writtenAt: Instant
}

const NEVER: Seen = { actAt: instant(0), writtenAt: instant(0) }

export function createActivity(): Activity {
  const sessions = createBoundedMap<Seen>(SESSIONS_MAX)
  const seen = (sessionId: SessionId) => sessions.get(sessionId) ?? NEVER
  return {
    lastActAt: (sessionId) => seen(sessionId).actAt,
    isDue: (sessionId, now) => Math.abs(now - seen(sessionId).writtenAt) >= ACTIVITY_WRITE_MS,
    noteAct: (sessionId, now) => sessions.set(sessionId, { ...seen(sessionId), actAt: now }),
    noteWritten: (sessionId, now) => sessions.set(sessionId, { actAt: now, writtenAt: now }),
  }
}
