import type { TenantId } from '@sotto/protocol'
import { statement, type Tx } from '../../platform/db/tx.ts'
import { toRfc3339, type Instant } from '../../platform/time/clock.ts'

export const SLUG_KEY = 'tenant_slug_key'

const insert = statement<never>(
  'identity.tenant-insert',
  `insert into tenant (tenant_id, slug, name_encrypted, state, created_at) values ($1, $2, $3, 'active', $4)`,
)

/** @throws StatementFailed on `SLUG_KEY` */
export async function insertTenant(
  tx: Tx,
  tenant: { readonly tenantId: TenantId; readonly slug: string; readonly nameEncrypted: Buffer; readonly at: Instant },
): Promise<void> {
  await tx.run(insert, [tenant.tenantId, tenant.slug, tenant.nameEncrypted, toRfc3339(tenant.at)])
}

interface TenantRow {
  readonly tenant_id: TenantId
  readonly slug: string
}

const findBySlug = statement<TenantRow>(
  'identity.tenant-find-by-slug',
  `select tenant_id, slug from tenant where state = 'active' and ($1::text is null or slug = $1) limit 2`,
)

/**
 * Under the role `lookup`.
 * @param slug  undefined means the only tenant of the deployment @returns undefined when there is none, or not only one
 */
export async function findTenantBySlug(tx: Tx, slug: string | undefined): Promise<TenantRow | undefined> {
  const rows = await tx.rows(findBySlug, [slug ?? null])
  return rows.length === 1 ? rows[0] : undefined
}

const find = statement<TenantRow>(
  'identity.tenant-find',
  `select tenant_id, slug from tenant where tenant_id = $1 and state = 'active'`,
)

/** Under the role `app`, in the tenant itself. */
export async function findTenant(tx: Tx, tenantId: TenantId): Promise<TenantRow | undefined> {
  const [row] = await tx.rows(find, [tenantId])
  return row
}
