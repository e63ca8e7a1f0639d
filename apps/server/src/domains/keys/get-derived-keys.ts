/** Keys that stand in no row: they are derived, and kept in memory only. */

import type { TenantId, UserId } from '@sotto/protocol'
import type { KeyObject } from 'node:crypto'
import type { DataKey } from '../../platform/crypto/envelope.ts'
import type { KeyAccess } from './key-access.ts'
import type { CachedKey } from './key-cache.ts'
import {
  auditBucketOf,
  deriveAuditKey,
  deriveDirectoryKey,
  deriveIndexKey,
  INDEX_KEY_VERSION,
  NO_BUCKET,
  tenantPrefix,
} from './key.model.ts'
import type { IndexPurpose, KeysDeps } from './key.model.ts'
import { getAuditBucketKey, getSubjectKey, getTenantKey } from './unwrap.ts'

/**
 * The data key of a user's names. A patient's names die with the patient's subject key; those of staff hang on the tenant only.
 *
 * @param input.subjectUserId  the user, when the user is a patient
 * @param input.epoch          that of the sealed name to open (`sealedEpoch`); the primary one, for sealing, when not given
 * @throws keys/unreadable 410
 */
export async function getDirectoryKey(
  deps: KeysDeps,
  access: KeyAccess,
  input: { readonly tenantId: TenantId; readonly subjectUserId?: UserId | null; readonly epoch?: number },
): Promise<DataKey> {
  const { tenantId, epoch } = input
  const subjectUserId = input.subjectUserId ?? null
  const prefix = `${tenantPrefix(tenantId)}directory/${subjectUserId ?? 'staff'}/`
  const cached = await deps.cache.remember(`${prefix}${epoch ?? 'primary'}`, async () => {
    const tenantKey = await getTenantKey(deps, access, tenantId, epoch)
    const subjectKey = subjectUserId === null ? undefined : await getSubjectKey(deps, tenantId, subjectUserId)
    const key = deriveDirectoryKey(tenantKey.dataKey, subjectKey?.dataKey)
    const version = tenantKey.dataKey.epoch
    return derived(`${prefix}${version}`, version, key, tenantKey, subjectKey)
  })
  return cached.dataKey
}

/** The key of a keyed index (`keyedHash`). It is the same for the whole life of the tenant. */
export async function getIndexKey(
  deps: KeysDeps,
  access: KeyAccess,
  tenantId: TenantId,
  purpose: IndexPurpose,
): Promise<KeyObject> {
  return (await getIndexKeyFor(deps, access, tenantId, purpose)).dataKey.key
}

/**
 * The data key of the bodies of audit events. Those about a patient take that subject's key too, so erasing the patient
 * erases what was recorded about the patient, while commitment and tree stay.
 *
 * @throws keys/unreadable 410
 */
export async function getAuditKey(
  deps: KeysDeps,
  access: KeyAccess,
  input: { readonly tenantId: TenantId; readonly subjectUserId?: UserId | null },
): Promise<DataKey> {
  const { tenantId } = input
  const subjectUserId = input.subjectUserId ?? null
  if (subjectUserId === null) return (await getAuditBucketKey(deps, access, tenantId, NO_BUCKET)).dataKey
  const id = `${tenantPrefix(tenantId)}audit/subject/${subjectUserId}/1`
  const cached = await deps.cache.remember(id, async () => {
    const bucketIndexKey = await getIndexKeyFor(deps, access, tenantId, 'audit-bucket')
    const bucket = auditBucketOf(bucketIndexKey.dataKey.key, subjectUserId)
    const bucketKey = await getAuditBucketKey(deps, access, tenantId, bucket)
    const subjectKey = await getSubjectKey(deps, tenantId, subjectUserId)
    const key = deriveAuditKey(bucketKey.dataKey, subjectKey.dataKey)
    return derived(id, bucketKey.dataKey.epoch, key, bucketIndexKey, bucketKey, subjectKey)
  })
  return cached.dataKey
}

function getIndexKeyFor(
  deps: KeysDeps,
  access: KeyAccess,
  tenantId: TenantId,
  purpose: IndexPurpose | 'audit-bucket',
): Promise<CachedKey> {
  const id = `${tenantPrefix(tenantId)}index/${purpose}`
  return deps.cache.remember(id, async () => {
    const tenantKey = await getTenantKey(deps, access, tenantId, INDEX_KEY_VERSION)
    return derived(id, INDEX_KEY_VERSION, deriveIndexKey(tenantKey.dataKey, purpose), tenantKey)
  })
}

/** As fresh as the first of its sources to age. */
function derived(id: string, epoch: number, key: KeyObject, ...sources: readonly (CachedKey | undefined)[]): CachedKey {
  const freshUntilMs = Math.min(...sources.map((source) => source?.freshUntilMs ?? Infinity))
  return { dataKey: { id, epoch, key }, freshUntilMs }
}
