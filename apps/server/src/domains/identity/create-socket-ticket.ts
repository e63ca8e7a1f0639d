import type { Operations, ReplyOf } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { instant, toRfc3339 } from '../../platform/time/clock.ts'
import { newBearer } from './bearer.model.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { insertTicket } from './ticket-store.ts'

/**
 * A ticket for one socket: browsers cannot send an `authorization` header with a WebSocket, and a token in an address ends
 * up in logs (ASVS 5.0 V4.4.3).
 *
 * @throws identity/session-ended 401
 * @effects socket_ticket, audit `socket-ticket.create`
 */
export async function createSocketTicket(
  deps: Pick<IdentityDeps, 'db' | 'clock' | 'random' | 'limits' | 'access' | 'audit'>,
  ctx: Ctx,
): Promise<ReplyOf<Operations['createSocketTicket']>> {
  const ticket = newBearer(deps.random, ctx.tenantId)
  const at = deps.clock.now()
  const expiresAt = instant(at + deps.limits.socketTicketSeconds * 1000)
  const { sessionId } = ctx
  await deps.db.withTx(scopeOf(ctx), async (tx) => {
    const grant = await deps.access.authorize(tx, ctx, 'socket-ticket.create')
    await Promise.all([
      insertTicket(tx, grant, { ticketHash: ticket.hash, sessionId, at, expiresAt }),
      deps.audit.record(tx, ctx, { action: 'socket-ticket.create', resource: { type: 'session', id: sessionId } }),
    ])
  })
  return { ticket: ticket.token.reveal(), expiresAt: toRfc3339(expiresAt) }
}
