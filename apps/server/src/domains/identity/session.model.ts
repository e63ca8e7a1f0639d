import type { DeviceId, Limits, Role, Session, SessionId, UserId } from '@sotto/protocol'
import { instant, toRfc3339, type Instant } from '../../platform/time/clock.ts'

/**
 * | state | how it is left | refused as |
 * |---|---|---|
 * | live | the user acts (stays live), is silent, acts on, signs out, is removed | — |
 * | ended | never | `session-<end reason>` |
 * | device revoked, user inactive | never; ended at the same time | `device-revoked`, `user-inactive` |
 * | idle: `sessionIdleSeconds` without an act | never | `session-idle` |
 * | expired: `sessionAbsoluteSeconds` after its start | never | `session-expired` |
 *
 * NIST SP 800-63B-4 §2.2.3, §5.2; 45 CFR 164.312(a)(2)(iii).
 */
export type EndReason =
  | 'signed-out'
  | 'ended-by-administrator'
  | 'device-revoked'
  | 'user-deactivated'
  | 'role-changed'
  | 'password-changed'
  | 'refresh-reuse'

/** A session with what its life depends on, as the database has it now. */
export interface StoredSession {
  readonly session_id: SessionId
  readonly user_id: UserId
  readonly device_id: DeviceId
  readonly created_at: Instant
  readonly last_active_at: Instant
  readonly absolute_expires_at: Instant
  readonly ended_at: Instant | null
  readonly end_reason: EndReason | null
  readonly revoked_at: Instant | null
  readonly active: boolean
  readonly role: Role
}

export type SessionLimits = Pick<Limits, 'sessionIdleSeconds' | 'sessionAbsoluteSeconds'>

/** When a session that lives ends by itself: idle unless its user acts, absolute whatever happens. */
export interface SessionEnds {
  readonly idleAt: Instant
  readonly absoluteAt: Instant
}

/**
 * @param lastActAt  an act that this node has seen and not written yet
 * @returns why the session is over; undefined while it lives
 */
export function whyOver(
  session: StoredSession,
  limits: SessionLimits,
  now: Instant,
  lastActAt: Instant = session.last_active_at,
): string | undefined {
  if (session.ended_at !== null) return `session-${session.end_reason}`
  if (session.revoked_at !== null) return 'device-revoked'
  if (!session.active) return 'user-inactive'
  if (now >= session.absolute_expires_at) return 'session-expired'
  if (now >= idleExpiresAt(Math.max(session.last_active_at, lastActAt), limits)) return 'session-idle'
  return undefined
}

export function idleExpiresAt(lastActiveAt: number, limits: SessionLimits): Instant {
  return instant(lastActiveAt + limits.sessionIdleSeconds * 1000)
}

export function absoluteExpiresAt(startedAt: Instant, limits: SessionLimits): Instant {
  return instant(startedAt + limits.sessionAbsoluteSeconds * 1000)
}

export function renderSession(
  session: Pick<
    StoredSession,
    'session_id' | 'user_id' | 'device_id' | 'created_at' | 'last_active_at' | 'absolute_expires_at' | 'ended_at'
  >,
  limits: SessionLimits,
  currentSessionId: SessionId,
): Session {
  const { absolute_expires_at } = session
  const idleAt = Math.min(idleExpiresAt(session.last_active_at, limits), absolute_expires_at)
  return {
    sessionId: session.session_id,
    userId: session.user_id,
    deviceId: session.device_id,
    createdAt: toRfc3339(session.created_at),
    lastActiveAt: toRfc3339(session.last_active_at),
    idleExpiresAt: toRfc3339(instant(idleAt)),
    absoluteExpiresAt: toRfc3339(absolute_expires_at),
    endedAt: session.ended_at === null ? null : toRfc3339(session.ended_at),
    current: session.session_id === currentSessionId,
  }
}

/**
 * What a presented refresh token is worth.
 *
 * | generation of the token | within the grace after the rotation | later |
 * |---|---|---|
 * | the session's current one | `rotate`: a new generation begins | the same |
 * | the one before | `repeat`: another token of the current generation (a lost answer, a second tab) | `reuse` |
 * | older | `reuse` | `reuse` |
 *
 * Of the several tokens that a generation may have after a repeat, the first one used makes the others the generation
 * before. So a thief who copies a token and uses it within the grace still shows: thief and owner hold tokens of one
 * generation, and whoever comes second after the grace ends the session (RFC 9700 §4.14.2).
 */
export type RefreshVerdict = 'rotate' | 'repeat' | 'reuse'

export function judgeRefresh(
  token: { readonly generation: number; readonly currentGeneration: number; readonly rotatedAt: Instant },
  graceSeconds: number,
  now: Instant,
): RefreshVerdict {
  if (token.generation === token.currentGeneration) return 'rotate'
  const isOneBehind = token.generation === token.currentGeneration - 1
  // A clock that was set back must not lengthen the grace: an instant to come is no recent one.
  return isOneBehind && Math.abs(now - token.rotatedAt) <= graceSeconds * 1000 ? 'repeat' : 'reuse'
}
