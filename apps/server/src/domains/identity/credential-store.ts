import type { TenantId, UserId } from '@sotto/protocol'
import { statement, type Tx } from '../../platform/db/tx.ts'
import type { Grant } from '../../platform/grant/grant.ts'
import { toRfc3339, type Instant } from '../../platform/time/clock.ts'
import type { StoredUser } from './user.model.ts'

export interface UserWithCredential extends StoredUser {
  /** null when the user has never set a password. */
  readonly hash_encoded: string | null
}

const columns = `u.user_id, u.display_name_encrypted, u.role, u.active, c.hash_encoded`
const joined = `app_user u left join password_credential c using (tenant_id, user_id)`

const findByLogin = statement<UserWithCredential>(
  'identity.credential-find-by-login',
  `select ${columns} from ${joined} where u.tenant_id = $1 and u.login_index = $2`,
)

export async function findUserByLogin(
  tx: Tx,
  tenantId: TenantId,
  loginIndex: Buffer,
): Promise<UserWithCredential | undefined> {
  const [row] = await tx.rows(findByLogin, [tenantId, loginIndex])
  return row
}

const findOwn = statement<UserWithCredential & { readonly login_encrypted: Buffer }>(
  'identity.credential-find',
  `select ${columns}, u.login_encrypted from ${joined} where u.tenant_id = $1 and u.user_id = $2`,
)

/** Of the user whom the grant is for. */
export async function findCredential(
  tx: Tx,
  grant: Grant<'password.change', TenantId>,
): Promise<(UserWithCredential & { readonly login_encrypted: Buffer }) | undefined> {
  const [row] = await tx.rows(findOwn, [grant.resourceId, grant.userId])
  return row
}

export interface Credential {
  readonly tenantId: TenantId
  readonly userId: UserId
  readonly hashEncoded: string
  readonly at: Instant
}

const upsert = statement<never>(
  'identity.credential-upsert',
  `insert into password_credential (tenant_id, user_id, hash_encoded, changed_at, created_at) values ($1, $2, $3, $4, $4)
   on conflict (tenant_id, user_id) do update set hash_encoded = excluded.hash_encoded, changed_at = excluded.changed_at`,
)

/** After a one-time link was claimed in the same transaction. */
export async function setCredential(tx: Tx, { tenantId, userId, hashEncoded, at }: Credential): Promise<void> {
  await tx.run(upsert, [tenantId, userId, hashEncoded, toRfc3339(at)])
}

const replace = statement<never>(
  'identity.credential-replace',
  `update password_credential set hash_encoded = $4, changed_at = $5
   where tenant_id = $1 and user_id = $2 and hash_encoded = $3`,
)

/** @returns whether the credential was still the one that had been verified */
export async function replaceCredential(tx: Tx, verifiedHash: string, credential: Credential): Promise<boolean> {
  const { tenantId, userId, hashEncoded, at } = credential
  return (await tx.run(replace, [tenantId, userId, verifiedHash, hashEncoded, toRfc3339(at)])) === 1
}
