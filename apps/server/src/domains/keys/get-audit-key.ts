import type { TenantId, UserId } from '@sotto/protocol'
import type { DataKey } from '../../platform/crypto/envelope.ts'
import { getIndexKeyFor } from './get-index-key.ts'
import { getAuditBucketKey, getSubjectKey } from './get-tenant-key.ts'
import { derivedFrom } from './key-cache.ts'
import { auditBucketOf, deriveAuditKey, NO_BUCKET, tenantPrefix } from './key.model.ts'
import type { KeysDeps } from './key.model.ts'
import type { KeyAccess } from './read-keys.ts'

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
    return derivedFrom(id, bucketKey.dataKey.epoch, key, bucketIndexKey, bucketKey, subjectKey)
  })
  return cached.dataKey
}
