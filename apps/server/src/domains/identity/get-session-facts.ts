import type { Role, SessionId, TenantId, UserId } from '@sotto/protocol'
import type { Ctx } from '../../platform/context/context.ts'
import type { Tx } from '../../platform/db/tx.ts'
import type { Phi } from '../../platform/phi/phi.ts'
import { problem } from '../../platform/problem/problem.ts'
import { instant, type Instant } from '../../platform/time/clock.ts'
import type { SessionFacts } from '../access/index.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { openUserName } from './render-user.ts'
import { idleExpiresAt, whyOver, type SessionEnds } from './session.model.ts'
import { findSession, findSessions } from './session-store.ts'
import { findUsers } from './user-store.ts'

type FactsDeps = Pick<IdentityDeps, 'clock' | 'limits' | 'activity'>

/**
 * Who asks, as the database has it now: one statement on session, device, user and tenant.
 * @throws identity/session-ended 401 when any of them is over
 */
export async function getSessionFacts(deps: FactsDeps, tx: Tx, ctx: Ctx): Promise<SessionFacts> {
  const session = await findSession(tx, ctx.tenantId, ctx.sessionId)
  if (session === undefined || session.user_id !== ctx.userId || session.device_id !== ctx.deviceId) {
    throw problem('identity/session-ended', { trueReason: 'session-unknown' })
  }
  const trueReason = whyOver(session, deps.limits, deps.clock.now(), deps.activity.lastActAt(session.session_id))
  if (trueReason !== undefined) throw problem('identity/session-ended', { trueReason })
  return { sessionId: session.session_id, userId: session.user_id, role: session.role }
}

/** Of many sessions those that live, in one statement: what the appender checks again where an act is made durable. */
export async function findLiveSessions(
  deps: Pick<FactsDeps, 'limits' | 'activity'>,
  tx: Tx,
  tenantId: TenantId,
  sessionIds: readonly SessionId[],
  now: Instant,
): Promise<ReadonlyMap<SessionId, { readonly userId: UserId; readonly role: Role }>> {
  const sessions = await findSessions(tx, tenantId, sessionIds)
  const live = sessions.filter(
    (session) => whyOver(session, deps.limits, now, deps.activity.lastActAt(session.session_id)) === undefined,
  )
  return new Map(live.map(({ session_id, user_id, role }) => [session_id, { userId: user_id, role }]))
}

/** Of many sessions those that live, with when they end: for their sockets, whom nobody else would tell. One statement. */
export async function findSessionEnds(
  deps: FactsDeps,
  tx: Tx,
  tenantId: TenantId,
  sessionIds: readonly SessionId[],
): Promise<ReadonlyMap<SessionId, SessionEnds>> {
  const sessions = await findSessions(tx, tenantId, sessionIds)
  const now = deps.clock.now()
  const ends = sessions.flatMap((session): [SessionId, SessionEnds][] => {
    const lastActAt = Math.max(session.last_active_at, deps.activity.lastActAt(session.session_id))
    if (whyOver(session, deps.limits, now, instant(lastActAt)) !== undefined) return []
    const idleAt = idleExpiresAt(lastActAt, deps.limits)
    return [[session.session_id, { idleAt, absoluteAt: session.absolute_expires_at }]]
  })
  return new Map(ends)
}

export interface UserName {
  readonly displayName: Phi<string>
  readonly role: Role
  readonly active: boolean
}

/** The names of users whom the caller may name: members of a conversation. Unknown ids are not in the map. */
export async function findUserNames(
  deps: Pick<IdentityDeps, 'keys' | 'sealer'>,
  tx: Tx,
  tenantId: TenantId,
  userIds: readonly UserId[],
): Promise<ReadonlyMap<UserId, UserName>> {
  const users = await findUsers(tx, tenantId, userIds)
  const of = { tenantId, access: tx }
  const names = await Promise.all(users.map((user) => openUserName(deps, of, user)))
  return new Map(
    users.map(({ user_id, role, active }, index) => [user_id, { displayName: names[index]!, role, active }]),
  )
}

/** Which of these users are patients: whoever tells anything about them records it with each of them. */
export async function findPatientIds(
  tx: Tx,
  tenantId: TenantId,
  userIds: readonly UserId[],
): Promise<readonly UserId[]> {
  const users = await findUsers(tx, tenantId, userIds)
  return users.filter(({ role }) => role === 'patient').map(({ user_id }) => user_id)
}
