import type { TenantId } from '@sotto/protocol'
import type { DataKey } from '../../platform/crypto/envelope.ts'
import { newKey } from '../../platform/crypto/primitives.ts'
import { wrapKey } from '../../platform/crypto/wrap.ts'
import type { Tx } from '../../platform/db/tx.ts'
import { AUDIT_BUCKETS, auditWrappingKey, NO_BUCKET, tenantPrefix, wrapContexts } from './key.model.ts'
import type { KeysDeps } from './key.model.ts'
import { findTenantKey, insertAuditKeys, insertTenantKey } from './keys-store.ts'
import { tenantKeyId } from './get-tenant-key.ts'

/**
 * Makes the keys without which a tenant cannot exist: its wrapping key and the data keys of all audit buckets.
 * In the transaction that makes the tenant; the keyring is asked once within it, since tenants are born seldom.
 *
 * @effects tenant_key, audit_key; no audit event: the operation that makes the tenant records itself
 * @control 164.312(a)(2)(iv)
 */
export async function createTenantKeys(deps: KeysDeps, tx: Tx, tenantId: TenantId): Promise<void> {
  deps.cache.distrust(tx)
  deps.cache.forget(tenantPrefix(tenantId))
  const [version, at] = [1, deps.clock.now()]
  const tenantKey: DataKey = { id: tenantKeyId(tenantId, version), epoch: version, key: newKey(deps.random) }
  const wrapped = await deps.keyring.wrap(wrapContexts.tenant(tenantId, version), tenantKey.key)
  await insertTenantKey(tx, { tenantId, version, wrapped, at })
  const wrappingKey = auditWrappingKey(tenantKey)
  const epoch = 1
  const buckets = [NO_BUCKET, ...Array(AUDIT_BUCKETS).keys()].map((bucket) => ({
    bucket,
    wrapped: wrapKey(deps.random, wrappingKey, wrapContexts.audit(tenantId, bucket, epoch), newKey(deps.random)),
  }))
  await insertAuditKeys(tx, { tenantId, epoch, tenantKeyVersion: version, at, buckets })
}

/** Whether a tenant has been born. */
export async function hasTenantKeys(tx: Tx, tenantId: TenantId): Promise<boolean> {
  return (await findTenantKey(tx, tenantId, 1)) !== undefined
}
