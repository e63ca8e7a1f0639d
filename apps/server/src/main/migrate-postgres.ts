import { isContextKeyOf, migrate, pendingMigrations, readMigrations } from '../platform/db/migrate.ts'
import { withPlainConnection } from '../platform/db/plain-connection.ts'
import type { Config } from './config.ts'
import { CONTEXT_KEY_PURPOSE, openKeyring } from './open-ground.ts'

/**
 * Brings PostgreSQL's schema up to this version, as the owner, and lets the login role of DATABASE_URL in.
 *
 * @returns the names of the files that were, or would be, applied
 * @throws Error with a message for the operator
 */
export async function migratePostgres(
  config: Config,
  options: { readonly isDryRun: boolean; readonly mayCreateKeyring: boolean },
): Promise<readonly string[]> {
  if (config.database.kind === 'embedded')
    throw new Error('DATABASE_URL is not set: there is no PostgreSQL to migrate.')
  if (config.ownerUrl === undefined)
    throw new Error('DATABASE_OWNER_URL is not set: migrations need a role that may change the schema.')
  const { url } = config.database
  const migrating = withPlainConnection(config.ownerUrl.reveal(), 'sotto migrate', async (client) => {
    const migrations = await readMigrations()
    const pending = await pendingMigrations(client, migrations)
    if (options.isDryRun) return pending.map(({ name }) => name)
    const isEmpty = pending.length === migrations.length
    const keyring = await openKeyring(config, {
      mayCreate: options.mayCreateKeyring && isEmpty,
      isPostgresEmpty: isEmpty,
    })
    const contextKey = keyring.derive(CONTEXT_KEY_PURPOSE)
    if (!isEmpty && !(await isContextKeyOf(client, contextKey)))
      throw new Error(
        'The keyring does not belong to this database: migrating with it would lock out every server. Restore the one that does, or correct SOTTO_KEYRING_DIR.',
      )
    const loginRole = decodeURIComponent(new URL(url.reveal()).username)
    return await migrate({ client, contextKey, loginRole })
  })
  return await migrating.catch(refuseAddress)
}

/** The server's words name a role and a host; the password is in none of them. */
function refuseAddress(error: Error & { readonly code?: unknown }): never {
  if (!isAboutConnecting(error.code)) throw error
  throw new Error(`DATABASE_OWNER_URL leads to no database: ${error.message}`, { cause: error })
}

/** A socket's error, or a refusal of class 28 (authorization) or 3D (no such database). */
function isAboutConnecting(code: unknown): boolean {
  return typeof code === 'string' && /^(E[A-Z]+|28|3D|08)/.test(code)
}
