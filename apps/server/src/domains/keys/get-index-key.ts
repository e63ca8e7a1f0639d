import type { TenantId } from '@sotto/protocol'
import type { KeyObject } from 'node:crypto'
import { getTenantKey } from './get-tenant-key.ts'
import { derivedFrom } from './key-cache.ts'
import type { CachedKey } from './key-cache.ts'
import { deriveIndexKey, INDEX_KEY_VERSION, tenantPrefix } from './key.model.ts'
import type { IndexPurpose, KeysDeps } from './key.model.ts'
import type { KeyAccess } from './read-keys.ts'

/** The key of a keyed index (`keyedHash`). It is the same for the whole life of the tenant. */
export async function getIndexKey(
  deps: KeysDeps,
  access: KeyAccess,
  tenantId: TenantId,
  purpose: IndexPurpose,
): Promise<KeyObject> {
  return (await getIndexKeyFor(deps, access, tenantId, purpose)).dataKey.key
}

/** The same as it is kept, for the room's own: with how long it is fresh. */
export function getIndexKeyFor(
  deps: KeysDeps,
  access: KeyAccess,
  tenantId: TenantId,
  purpose: IndexPurpose | 'audit-bucket',
): Promise<CachedKey> {
  const id = `${tenantPrefix(tenantId)}index/${purpose}`
  return deps.cache.remember(id, async () => {
    const tenantKey = await getTenantKey(deps, access, tenantId, INDEX_KEY_VERSION)
    return derivedFrom(id, INDEX_KEY_VERSION, deriveIndexKey(tenantKey.dataKey, purpose), tenantKey)
  })
}
