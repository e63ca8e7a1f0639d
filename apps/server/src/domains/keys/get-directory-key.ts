import type { TenantId, UserId } from '@sotto/protocol'
import type { DataKey } from '../../platform/crypto/envelope.ts'
import { getSubjectKey, getTenantKey } from './get-tenant-key.ts'
import { derivedFrom } from './key-cache.ts'
import { deriveDirectoryKey, tenantPrefix } from './key.model.ts'
import type { KeysDeps } from './key.model.ts'
import type { KeyAccess } from './read-keys.ts'

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
    return derivedFrom(`${prefix}${version}`, version, key, tenantKey, subjectKey)
  })
  return cached.dataKey
}
