import type { DeviceId, Role, SessionId, TenantId, UserId } from '@sotto/protocol'
import { statement, type Tx } from '../../platform/db/tx.ts'
import type { Grant } from '../../platform/grant/grant.ts'
import { toRfc3339, type Instant } from '../../platform/time/clock.ts'

export interface NewTicket {
  readonly ticketHash: Buffer
  readonly sessionId: SessionId
  readonly at: Instant
  readonly expiresAt: Instant
}

const insert = statement<never>(
  'identity.ticket-insert',
  `insert into socket_ticket (tenant_id, ticket_hash, session_id, expires_at, created_at) values ($1, $2, $3, $4, $5)`,
)

export async function insertTicket(
  tx: Tx,
  grant: Grant<'socket-ticket.create', TenantId>,
  ticket: NewTicket,
): Promise<void> {
  const { ticketHash, sessionId, expiresAt, at } = ticket
  await tx.run(insert, [grant.resourceId, ticketHash, sessionId, toRfc3339(expiresAt), toRfc3339(at)])
}

export interface TicketHolder {
  readonly session_id: SessionId
  readonly user_id: UserId
  readonly device_id: DeviceId
  readonly role: Role
}

const claim = statement<TicketHolder>(
  'identity.ticket-claim',
  `update socket_ticket k set used_at = $3
   from session s, app_user u
   where k.tenant_id = $1 and k.ticket_hash = $2 and k.used_at is null and k.expires_at > $3
     and s.tenant_id = $1 and s.session_id = k.session_id
     and u.tenant_id = $1 and u.user_id = s.user_id
   returning s.session_id, s.user_id, s.device_id, u.role`,
)

/** Takes the ticket once, whoever asks at the same moment. @returns undefined when unknown, used or expired */
export async function claimTicket(
  tx: Tx,
  tenantId: TenantId,
  ticketHash: Buffer,
  at: Instant,
): Promise<TicketHolder | undefined> {
  const [row] = await tx.rows(claim, [tenantId, ticketHash, toRfc3339(at)])
  return row
}
