import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { problem } from '../../platform/problem/problem.ts'
import { instant } from '../../platform/time/clock.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { sessionActive } from './identity.events.ts'
import { idleExpiresAt } from './session.model.ts'
import { updateSessionActive } from './session-store.ts'

/**
 * The user is there: they did something, as opposed to receiving. Written at most every 30 seconds for each session; in
 * between it costs nothing, and the act before it has read the session anyway.
 *
 * @throws identity/session-ended 401: an act never revives a session that is over
 * @effects session, hint `session.active`; no audit event: the act that shows the activity is the one that is recorded
 */
export async function touchSession(
  deps: Pick<IdentityDeps, 'db' | 'clock' | 'limits' | 'activity' | 'bus'>,
  ctx: Ctx,
): Promise<void> {
  const { tenantId, sessionId } = ctx
  const now = deps.clock.now()
  const lastActAt = deps.activity.lastActAt(sessionId)
  const idleSince = instant(now - deps.limits.sessionIdleSeconds * 1000)
  if (lastActAt > idleSince && !deps.activity.isDue(sessionId, now)) return deps.activity.noteAct(sessionId, now)
  const times = { now, idleSince, lastActAt }
  const isLive = await deps.db.withTx(scopeOf(ctx), (tx) => updateSessionActive(tx, tenantId, sessionId, times))
  if (!isLive) throw problem('identity/session-ended', { trueReason: 'session-over' })
  deps.activity.noteWritten(sessionId, now)
  deps.bus.publish(sessionActive, { sessionId, idleAt: idleExpiresAt(now, deps.limits) })
}
