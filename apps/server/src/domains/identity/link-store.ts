import type { TenantId, UserId } from '@sotto/protocol'
import { statement, type Tx } from '../../platform/db/tx.ts'
import type { Grant } from '../../platform/grant/grant.ts'
import { toRfc3339, type Instant } from '../../platform/time/clock.ts'
import type { StoredUser } from './user.model.ts'

export interface NewLink {
  readonly tenantId: TenantId
  readonly userId: UserId
  readonly tokenHash: Buffer
  readonly at: Instant
  readonly expiresAt: Instant
}

const expireEarlier = statement<never>(
  'identity.link-expire-earlier',
  `update sign_in_link set expires_at = $3 where tenant_id = $1 and user_id = $2 and used_at is null and expires_at > $3`,
)
const insert = statement<never>(
  'identity.link-insert',
  `insert into sign_in_link (tenant_id, token_hash, user_id, expires_at, created_at) values ($1, $2, $3, $4, $5)`,
)

/** Earlier links of the user stop working. */
export async function insertLink(tx: Tx, _grant: Grant<'sign-in-link.create', TenantId>, link: NewLink): Promise<void> {
  await insertAdministratorLink(tx, link)
}

/** For an administrator, by the operator: where a tenant begins, and where a link was lost, there is nobody to permit it. */
export async function insertAdministratorLink(tx: Tx, link: NewLink): Promise<void> {
  const { tenantId, userId, tokenHash, expiresAt, at } = link
  const expired = expireLinks(tx, tenantId, userId, at)
  const values = [tenantId, tokenHash, userId, toRfc3339(expiresAt), toRfc3339(at)]
  await Promise.all([expired, tx.run(insert, values)])
}

export async function expireLinks(tx: Tx, tenantId: TenantId, userId: UserId, at: Instant): Promise<void> {
  await tx.run(expireEarlier, [tenantId, userId, toRfc3339(at)])
}

export interface LinkOwner extends StoredUser {
  readonly login_encrypted: Buffer
}

const find = statement<LinkOwner>(
  'identity.link-find',
  `select u.user_id, u.display_name_encrypted, u.role, u.active, u.login_encrypted
   from sign_in_link l join app_user u using (tenant_id, user_id)
   where l.tenant_id = $1 and l.token_hash = $2 and l.used_at is null and l.expires_at > $3 and u.active`,
)

export async function findLinkOwner(
  tx: Tx,
  tenantId: TenantId,
  tokenHash: Buffer,
  now: Instant,
): Promise<LinkOwner | undefined> {
  const [row] = await tx.rows(find, [tenantId, tokenHash, toRfc3339(now)])
  return row
}

const claim = statement<never>(
  'identity.link-claim',
  `update sign_in_link set used_at = $3 where tenant_id = $1 and token_hash = $2 and used_at is null and expires_at > $3`,
)

/** Takes the link once, whoever asks at the same moment. @returns whether it was taken */
export async function claimLink(tx: Tx, tenantId: TenantId, tokenHash: Buffer, at: Instant): Promise<boolean> {
  return (await tx.run(claim, [tenantId, tokenHash, toRfc3339(at)])) === 1
}
