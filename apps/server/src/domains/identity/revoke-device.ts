import type { InputOf, Operations } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { problem } from '../../platform/problem/problem.ts'
import { revokeDevice as revokeStoredDevice } from './device-store.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { sessionEnded } from './identity.events.ts'
import { endSessions } from './session-store.ts'
import { subjectOf } from './user.model.ts'

/**
 * Revokes one of the caller's devices; an administrator revokes any of the tenant. It stays revoked: who signs in there
 * again has a new device.
 *
 * @throws access/not-found 404: none such, or another's
 * @effects device, session, audit `device.revoke`, hint `session.ended`
 * @control 45 CFR 164.310(d)(1), 164.308(a)(3)(ii)(C)
 */
export async function revokeDevice(
  deps: Pick<IdentityDeps, 'db' | 'clock' | 'access' | 'audit' | 'bus'>,
  ctx: Ctx,
  { deviceId }: InputOf<Operations['revokeDevice']>,
): Promise<void> {
  const { tenantId } = ctx
  const sessionIds = await deps.db.withTx(scopeOf(ctx), async (tx) => {
    const grant = await deps.access.authorize(tx, ctx, 'device.revoke')
    const at = deps.clock.now()
    const owner = await revokeStoredDevice(tx, grant, deviceId, at)
    if (owner === undefined) throw problem('access/not-found', { trueReason: 'no-such-device-or-not-own' })
    const [sessionIds] = await Promise.all([
      endSessions(tx, { tenantId, userId: owner.user_id, deviceId, reason: 'device-revoked', at }),
      deps.audit.record(tx, ctx, {
        action: 'device.revoke',
        resource: { type: 'device', id: deviceId },
        subjectUserId: subjectOf(owner),
      }),
    ])
    return sessionIds
  })
  if (sessionIds.length > 0) deps.bus.publish(sessionEnded, { tenantId, sessionIds, reason: 'device-revoked' })
}
