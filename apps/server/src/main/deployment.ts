import { anonymous, scopeOf, SYSTEM_TENANT_ID } from '../platform/context/context.ts'
import { SealBroken } from '../platform/crypto/envelope.ts'
import type { Composition } from './compose.ts'
import { VERSION } from './version.ts'

/**
 * The tenant of what happens before any tenant is known has keys of its own, made at the first start. Being the first keys
 * to be opened, they tell whether the keyring is the one with which this database was made.
 *
 * @throws Error with a message for the operator when it is another
 */
export async function ensureSystemTenant({ db, keys }: Pick<Composition, 'db' | 'keys'>): Promise<void> {
  const scope = { role: 'app', tenantId: SYSTEM_TENANT_ID } as const
  await db.withTx(scope, async (tx) => {
    if (!(await keys.hasTenantKeys(tx, SYSTEM_TENANT_ID))) await keys.createTenantKeys(tx, SYSTEM_TENANT_ID)
  })
  try {
    await keys.getIndexKey((read) => db.withTx(scope, read), SYSTEM_TENANT_ID, 'audit-actor')
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error
    throw new Error(
      'The keyring does not open what is in this database. Restore the one that belongs to it, or correct SOTTO_KEYRING_DIR.',
      { cause: error },
    )
  }
}

/** A start or a stop of a node, in the trail of the deployment (ASTM E2147 §7: changes of the log's own status). */
export async function recordLife(
  { audit, db, nodeId, ids }: Composition,
  action: 'deployment.start' | 'deployment.stop',
): Promise<void> {
  const ctx = anonymous({ requestId: ids.next<string>(), address: null })
  await db.withTx(scopeOf(ctx), (tx) =>
    audit.record(tx, ctx, { action, resource: { type: 'node', id: nodeId }, details: { version: VERSION } }),
  )
}
