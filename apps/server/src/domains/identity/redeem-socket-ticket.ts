import { anonymous, scopeOf, type Ctx, type Origin } from '../../platform/context/context.ts'
import type { Secret } from '../../platform/phi/phi.ts'
import { problem, Problem } from '../../platform/problem/problem.ts'
import { contextOf } from './claims.model.ts'
import { parseBearer } from './bearer.model.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { getSessionFacts } from './get-session-facts.ts'
import { refused } from './prepare-session.ts'
import { findTenant } from './tenant-store.ts'
import { claimTicket } from './ticket-store.ts'

/**
 * Exchanges a ticket for the context of one socket, once. The ticket is used up even when its session turns out to be over.
 *
 * @throws identity/ticket-invalid 401
 * @effects socket_ticket; the edge records `socket.open` before the socket exists, refusals are recorded here
 * @control 45 CFR 164.312(d)
 */
export async function redeemSocketTicket(
  deps: Pick<IdentityDeps, 'db' | 'clock' | 'limits' | 'activity' | 'audit'>,
  ticket: Secret<string>,
  origin: Origin,
): Promise<Ctx> {
  const refuse = (ctx: ReturnType<typeof anonymous>, trueReason: string) =>
    refused(deps, ctx, { action: 'socket.open' }, problem('identity/ticket-invalid', { trueReason }))
  const presented = parseBearer(ticket.reveal())
  if (presented === undefined) throw await refuse(anonymous(origin), 'not-a-ticket')
  const { tenantId, hash } = presented
  const outcome = await deps.db.withTx(scopeOf({ tenantId }), async (tx) => {
    const [tenant, holder] = await Promise.all([
      findTenant(tx, tenantId),
      claimTicket(tx, tenantId, hash, deps.clock.now()),
    ])
    if (holder === undefined) return { isTenant: tenant !== undefined, trueReason: 'ticket-unknown-used-or-expired' }
    const { session_id: sessionId, user_id: userId, device_id: deviceId, role } = holder
    const ctx = contextOf({ tenantId, userId, deviceId, sessionId, role }, origin)
    try {
      await getSessionFacts(deps, tx, ctx)
    } catch (error) {
      if (error instanceof Problem) return { isTenant: true, trueReason: error.trueReason }
      throw error
    }
    return ctx
  })
  if ('sessionId' in outcome) return outcome
  throw await refuse(outcome.isTenant ? anonymous(origin, tenantId) : anonymous(origin), outcome.trueReason)
}
