import type { DeviceId, Role, TenantId, UserId } from '@sotto/protocol'
import { statement, type Tx } from '../../platform/db/tx.ts'
import type { Grant } from '../../platform/grant/grant.ts'
import { toRfc3339, type Instant } from '../../platform/time/clock.ts'

export interface StoredDevice {
  readonly device_id: DeviceId
  readonly user_id: UserId
  readonly name_encrypted: Buffer
  readonly last_seen_at: Instant
  readonly revoked_at: Instant | null
  readonly created_at: Instant
  /** The owner's. */
  readonly role: Role
}

export interface NewDevice {
  readonly tenantId: TenantId
  readonly deviceId: DeviceId
  readonly userId: UserId
  readonly nameEncrypted: Buffer
  readonly secretHash: Buffer
  readonly at: Instant
}

const insert = statement<never>(
  'identity.device-insert',
  `insert into device (tenant_id, device_id, user_id, name_encrypted, secret_hash, last_seen_at, created_at)
   values ($1, $2, $3, $4, $5, $6, $6)`,
)

export async function insertDevice(tx: Tx, device: NewDevice): Promise<void> {
  const { tenantId, deviceId, userId, nameEncrypted, secretHash, at } = device
  await tx.run(insert, [tenantId, deviceId, userId, nameEncrypted, secretHash, toRfc3339(at)])
}

const findProven = statement<{ user_id: UserId }>(
  'identity.device-find-proven',
  `select user_id from device where tenant_id = $1 and device_id = $2 and secret_hash = $3 and revoked_at is null`,
)

/** @returns whose it is, when the secret is its own and it is not revoked */
export async function findOwnerOfProvenDevice(
  tx: Tx,
  tenantId: TenantId,
  deviceId: DeviceId,
  secretHash: Buffer,
): Promise<UserId | undefined> {
  const [row] = await tx.rows(findProven, [tenantId, deviceId, secretHash])
  return row?.user_id
}

const see = statement<never>(
  'identity.device-see',
  `update device set last_seen_at = greatest(last_seen_at, $3), name_encrypted = coalesce($4, name_encrypted)
   where tenant_id = $1 and device_id = $2 and revoked_at is null`,
)

/** @returns whether the device is there and not revoked */
export async function updateDeviceSeen(
  tx: Tx,
  tenantId: TenantId,
  deviceId: DeviceId,
  at: Instant,
  nameEncrypted: Buffer | null = null,
): Promise<boolean> {
  return (await tx.run(see, [tenantId, deviceId, toRfc3339(at), nameEncrypted])) === 1
}

const list = statement<StoredDevice>(
  'identity.device-list',
  `select d.device_id, d.user_id, d.name_encrypted, d.last_seen_at, d.revoked_at, d.created_at, u.role
   from device d join app_user u using (tenant_id, user_id)
   where d.tenant_id = $1 and d.user_id = $2 and ($3::uuid is null or d.device_id > $3)
   order by d.device_id limit $4`,
)

/** Those of the user whom the grant is for. */
export async function listDevices(
  tx: Tx,
  grant: Grant<'device.list', TenantId>,
  afterDeviceId: string | null,
  limit: number,
): Promise<readonly StoredDevice[]> {
  return tx.rows(list, [grant.resourceId, grant.userId, afterDeviceId, limit])
}

const revoke = statement<{ user_id: UserId; role: Role }>(
  'identity.device-revoke',
  `update device d set revoked_at = coalesce(d.revoked_at, $4)
   from app_user owner, app_user caller
   where d.tenant_id = $1 and d.device_id = $2
     and owner.tenant_id = $1 and owner.user_id = d.user_id
     and caller.tenant_id = $1 and caller.user_id = $3
     and (d.user_id = $3 or caller.role = 'administrator')
   returning d.user_id, owner.role`,
)

/** The caller's own, or anyone's when the caller is an administrator. @returns whose it was; undefined when neither */
export async function revokeDevice(
  tx: Tx,
  grant: Grant<'device.revoke', TenantId>,
  deviceId: DeviceId,
  at: Instant,
): Promise<{ readonly user_id: UserId; readonly role: Role } | undefined> {
  const [row] = await tx.rows(revoke, [grant.resourceId, deviceId, grant.userId, toRfc3339(at)])
  return row
}
