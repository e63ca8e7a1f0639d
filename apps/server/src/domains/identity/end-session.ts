import type { InputOf, Operations } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { problem } from '../../platform/problem/problem.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { sessionEnded } from './identity.events.ts'
import { endSession as endStoredSession } from './session-store.ts'
import { subjectOf } from './user.model.ts'

/**
 * Ends one of the caller's sessions; an administrator ends any of the tenant. Ending it again changes nothing.
 *
 * @throws access/not-found 404: none such, or another's
 * @effects session (its refresh tokens and tickets die with it), audit `session.end`, hint `session.ended`
 * @control 45 CFR 164.312(a)(2)(iii), 164.308(a)(3)(ii)(C)
 */
export async function endSession(
  deps: Pick<IdentityDeps, 'db' | 'clock' | 'access' | 'audit' | 'bus'>,
  ctx: Ctx,
  { sessionId }: InputOf<Operations['endSession']>,
): Promise<void> {
  const ended = await deps.db.withTx(scopeOf(ctx), async (tx) => {
    const grant = await deps.access.authorize(tx, ctx, 'session.end')
    const target = await endStoredSession(tx, grant, sessionId, deps.clock.now())
    if (target === undefined) throw problem('access/not-found', { trueReason: 'no-such-session-or-not-own' })
    await deps.audit.record(tx, ctx, {
      action: 'session.end',
      resource: { type: 'session', id: sessionId },
      subjectUserId: subjectOf(target),
      details: { isRepeat: !target.has_ended },
    })
    return target
  })
  if (!ended.has_ended) return
  const reason = ended.user_id === ctx.userId ? 'signed-out' : 'ended-by-administrator'
  deps.bus.publish(sessionEnded, { tenantId: ctx.tenantId, sessionIds: [sessionId], reason })
}
