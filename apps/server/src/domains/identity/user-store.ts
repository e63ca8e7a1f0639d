import type { Role, TenantId, UserId } from '@sotto/protocol'
import { statement, type Tx } from '../../platform/db/tx.ts'
import type { Grant, ListGrant } from '../../platform/grant/grant.ts'
import { toRfc3339, type Instant } from '../../platform/time/clock.ts'
import type { StoredUser } from './user.model.ts'

export interface NewUser {
  readonly tenantId: TenantId
  readonly userId: UserId
  readonly loginIndex: Buffer
  readonly loginEncrypted: Buffer
  readonly displayNameEncrypted: Buffer
  readonly role: Role
  readonly at: Instant
}

/** The constraint that a second user of the same sign-in name breaks. */
export const LOGIN_KEY = 'app_user_login_key'

const insert = statement<never>(
  'identity.user-insert',
  `insert into app_user (tenant_id, user_id, login_index, login_encrypted, display_name_encrypted, role, updated_at, created_at)
   values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict (tenant_id, user_id) do nothing`,
)

/** @returns whether it is new; an id in use changes nothing @throws StatementFailed on `LOGIN_KEY` */
export async function insertUser(tx: Tx, _grant: Grant<'user.create', TenantId>, user: NewUser): Promise<boolean> {
  return insertFirstUser(tx, user)
}

/** The administrator with whom a tenant begins: there is nobody yet who could permit it. */
export async function insertFirstUser(tx: Tx, user: NewUser): Promise<boolean> {
  const { tenantId, userId, loginIndex, loginEncrypted, displayNameEncrypted, role, at } = user
  const values = [tenantId, userId, loginIndex, loginEncrypted, displayNameEncrypted, role, toRfc3339(at)]
  return (await tx.run(insert, values)) === 1
}

export interface ExistingUser extends StoredUser {
  readonly login_index: Buffer
}

const find = statement<ExistingUser>(
  'identity.user-find',
  `select user_id, display_name_encrypted, role, active, login_index from app_user
   where tenant_id = $1 and user_id = $2 and ($3::uuid[] is null or user_id = any($3))`,
)

type FindGrant = ListGrant<'user.get'> | Grant<'user.create' | 'sign-in-link.create', TenantId>

export async function findUser(
  tx: Tx,
  grant: FindGrant,
  tenantId: TenantId,
  userId: UserId,
): Promise<ExistingUser | undefined> {
  const [row] = await tx.rows(find, [tenantId, userId, 'users' in grant ? visibleIds(grant) : null])
  return row
}

const list = statement<StoredUser>(
  'identity.user-list',
  `select user_id, display_name_encrypted, role, active from app_user
   where tenant_id = $1
     and ($2::uuid[] is null or user_id = any($2))
     and ($3::text is null or role = $3)
     and ($4::uuid is null or user_id > $4)
   order by user_id limit $5`,
)

export interface UserFilter {
  readonly tenantId: TenantId
  readonly role: Role | undefined
  readonly afterUserId: string | null
  readonly limit: number
}

export async function listUsers(
  tx: Tx,
  grant: ListGrant<'user.list'>,
  filter: UserFilter,
): Promise<readonly StoredUser[]> {
  const { tenantId, role, afterUserId, limit } = filter
  return tx.rows(list, [tenantId, visibleIds(grant), role ?? null, afterUserId, limit])
}

function visibleIds(grant: ListGrant<'user.get' | 'user.list'>): readonly UserId[] | null {
  return grant.users === 'all' ? null : grant.users
}

const lockForUpdate = statement<StoredUser>(
  'identity.user-lock',
  `select user_id, display_name_encrypted, role, active from app_user
   where tenant_id = $1 and (user_id = $2 or (role = 'administrator' and active))
   order by user_id for update`,
)

/**
 * Locks the user together with all active administrators, so that two who demote each other at the same moment meet.
 * @returns the user, and how many active administrators there are besides
 */
export async function lockUser(
  tx: Tx,
  _grant: Grant<'user.update', TenantId>,
  tenantId: TenantId,
  userId: UserId,
): Promise<{ readonly user: StoredUser | undefined; readonly otherAdministrators: number }> {
  const rows = await tx.rows(lockForUpdate, [tenantId, userId])
  const others = rows.filter((row) => row.user_id !== userId)
  return { user: rows.find((row) => row.user_id === userId), otherAdministrators: others.length }
}

const update = statement<never>(
  'identity.user-update',
  `update app_user set display_name_encrypted = $3, role = $4, active = $5, updated_at = $6
   where tenant_id = $1 and user_id = $2`,
)

export async function updateUser(
  tx: Tx,
  _grant: Grant<'user.update', TenantId>,
  tenantId: TenantId,
  user: StoredUser,
  at: Instant,
): Promise<void> {
  const { user_id, display_name_encrypted, role, active } = user
  await tx.run(update, [tenantId, user_id, display_name_encrypted, role, active, toRfc3339(at)])
}

const listAdministrators = statement<{ user_id: UserId }>(
  'identity.user-list-administrators',
  `select user_id from app_user where tenant_id = $1 and role = 'administrator' and active order by user_id limit 2`,
)

/** For the operator. @returns at most two: one, or not only one */
export async function listActiveAdministrators(
  tx: Tx,
  tenantId: TenantId,
): Promise<readonly { readonly user_id: UserId }[]> {
  return tx.rows(listAdministrators, [tenantId])
}

const findMany = statement<StoredUser>(
  'identity.user-find-many',
  `select user_id, display_name_encrypted, role, active from app_user where tenant_id = $1 and user_id = any($2::uuid[])`,
)

/** For rooms that have their own permission to name these users (a roster, a list of members). */
export async function findUsers(
  tx: Tx,
  tenantId: TenantId,
  userIds: readonly UserId[],
): Promise<readonly StoredUser[]> {
  return tx.rows(findMany, [tenantId, userIds])
}
