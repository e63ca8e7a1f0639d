/** From a row and the keys above it to a key that can be used. Shared by the operations of this room only. */

import assert from 'node:assert/strict'
import { SealBroken } from '../../platform/crypto/envelope.ts'
import { problem } from '../../platform/problem/problem.ts'
import type { KeyAccess } from './read-keys.ts'
import { readKeys } from './read-keys.ts'
import type { CachedKey } from './key-cache.ts'
import { NO_BUCKET, tenantPrefix, wrapContexts, auditWrappingKey } from './key.model.ts'
import type { KeysDeps } from './key.model.ts'
import { findAuditKey, findPrimaryTenantKey, findTenantKey } from './keys-store.ts'
import type { TenantKeyRow, WrappedKey } from './keys-store.ts'
import { unwrapKey } from '../../platform/crypto/wrap.ts'

/** @throws Problem `keys/unreadable` when the key is disabled or destroyed */
export function checkReadable(key: WrappedKey): Buffer {
  if (key.state === 'disabled' || key.wrapped === null) throw problem('keys/unreadable')
  return key.wrapped
}

export function tenantKeyId(tenantId: string, version: number): string {
  return `${tenantPrefix(tenantId)}wrapping/${version}`
}

/** @param version  primary when not given @throws SealBroken when there is none, or it does not unwrap */
export async function getTenantKey(
  deps: KeysDeps,
  access: KeyAccess,
  tenantId: string,
  version?: number,
): Promise<CachedKey> {
  const id = version === undefined ? `${tenantPrefix(tenantId)}wrapping/primary` : tenantKeyId(tenantId, version)
  return deps.cache.remember(id, async () => {
    const { row, freshUntilMs } = await readKeys(deps, access, (tx) =>
      version === undefined ? findPrimaryTenantKey(tx, tenantId) : findTenantKey(tx, tenantId, version),
    )
    // A tenant has keys from its first moment on; which version is asked for may come from what is sealed.
    if (row === undefined) throw new SealBroken()
    return { dataKey: await unwrapTenantKey(deps, tenantId, row), freshUntilMs }
  })
}

async function unwrapTenantKey(deps: KeysDeps, tenantId: string, row: TenantKeyRow) {
  const key = await deps.keyring.unwrap(wrapContexts.tenant(tenantId, row.version), checkReadable(row))
  return { id: tenantKeyId(tenantId, row.version), epoch: row.version, key }
}

/** @throws Problem `keys/unreadable` when the subject's key is destroyed, or was never created */
export async function getSubjectKey(deps: KeysDeps, tenantId: string, subjectUserId: string): Promise<CachedKey> {
  const id = `${tenantPrefix(tenantId)}subject/${subjectUserId}`
  return deps.cache.remember(id, async () => {
    const freshUntilMs = deps.cache.freshUntilMs()
    const key = await deps.keyring.findSubjectKey(tenantId, subjectUserId)
    if (key === undefined) throw problem('keys/unreadable')
    return { dataKey: { id, epoch: 1, key }, freshUntilMs }
  })
}

/** Only the first epoch of a bucket exists so far; the header of what is sealed says which it was. */
const AUDIT_KEY_EPOCH = 1

export async function getAuditBucketKey(
  deps: KeysDeps,
  access: KeyAccess,
  tenantId: string,
  bucket: number,
): Promise<CachedKey> {
  const name = bucket === NO_BUCKET ? 'none' : String(bucket)
  const id = `${tenantPrefix(tenantId)}audit/${name}/${AUDIT_KEY_EPOCH}`
  return deps.cache.remember(id, async () => {
    const { row, freshUntilMs } = await readKeys(deps, access, (tx) =>
      findAuditKey(tx, tenantId, bucket, AUDIT_KEY_EPOCH),
    )
    assert(row !== undefined, 'A tenant has a key for every audit bucket')
    const wrapped = checkReadable(row)
    const tenantKey = await getTenantKey(deps, access, tenantId, row.tenant_key_version)
    const key = unwrapKey(auditWrappingKey(tenantKey.dataKey), wrapContexts.audit(tenantId, bucket, row.epoch), wrapped)
    return {
      dataKey: { id, epoch: row.epoch, key },
      freshUntilMs: Math.min(freshUntilMs, tenantKey.freshUntilMs),
    }
  })
}
