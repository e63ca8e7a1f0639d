import type { SessionId, TenantId } from '@sotto/protocol'
import { statement, type Tx } from '../../platform/db/tx.ts'
import { toRfc3339, type Instant } from '../../platform/time/clock.ts'
import type { StoredSession } from './session.model.ts'
import type { StoredUser } from './user.model.ts'

export interface NewRefreshToken {
  readonly tenantId: TenantId
  readonly sessionId: SessionId
  readonly tokenHash: Buffer
  readonly generation: number
  readonly at: Instant
  readonly expiresAt: Instant
}

const insert = statement<never>(
  'identity.refresh-insert',
  `insert into refresh_token (tenant_id, token_hash, session_id, generation, expires_at, created_at)
   values ($1, $2, $3, $4, $5, $6)`,
)

export async function insertRefreshToken(tx: Tx, token: NewRefreshToken): Promise<void> {
  const { tenantId, tokenHash, sessionId, generation, expiresAt, at } = token
  await tx.run(insert, [tenantId, tokenHash, sessionId, generation, toRfc3339(expiresAt), toRfc3339(at)])
}

export interface StoredRefresh extends StoredSession, StoredUser {
  readonly generation: number
  readonly refresh_generation: number
  readonly refresh_rotated_at: Instant
}

const lock = statement<StoredRefresh>(
  'identity.refresh-lock',
  `select r.generation, s.refresh_generation, s.refresh_rotated_at, s.session_id, s.user_id, s.device_id, s.created_at,
     s.last_active_at, s.absolute_expires_at, s.ended_at, s.end_reason, d.revoked_at,
     u.active and t.state = 'active' as active, u.role, u.display_name_encrypted
   from refresh_token r
   join session s on s.tenant_id = r.tenant_id and s.session_id = r.session_id
   join device d on d.tenant_id = s.tenant_id and d.device_id = s.device_id
   join app_user u on u.tenant_id = s.tenant_id and u.user_id = s.user_id
   join tenant t on t.tenant_id = s.tenant_id
   where r.tenant_id = $1 and r.token_hash = $2
   for update of s`,
)

/** The token's session, locked: of two who refresh at once the second sees what the first did. */
export async function lockRefresh(tx: Tx, tenantId: TenantId, tokenHash: Buffer): Promise<StoredRefresh | undefined> {
  const [row] = await tx.rows(lock, [tenantId, tokenHash])
  return row
}

const rotate = statement<never>(
  'identity.refresh-rotate',
  `update session set refresh_generation = $3, refresh_rotated_at = $4 where tenant_id = $1 and session_id = $2`,
)
const markUsed = statement<never>(
  'identity.refresh-mark-used',
  `update refresh_token set used_at = $3 where tenant_id = $1 and token_hash = $2`,
)

export async function rotateRefresh(
  tx: Tx,
  used: { readonly tenantId: TenantId; readonly sessionId: SessionId; readonly tokenHash: Buffer },
  generation: number,
  at: Instant,
): Promise<void> {
  const rotated = tx.run(rotate, [used.tenantId, used.sessionId, generation, toRfc3339(at)])
  await Promise.all([rotated, tx.run(markUsed, [used.tenantId, used.tokenHash, toRfc3339(at)])])
}
