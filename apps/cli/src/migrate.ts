import { loadConfig, migratePostgres } from '@sotto/server'
import { CommandRefused } from './explain.ts'

/** Brings PostgreSQL's schema up to this version. The embedded database is migrated whenever it is opened. */
export async function migrate(options: { readonly dryRun?: boolean }): Promise<void> {
  const config = loadConfig()
  if (config.database.kind === 'embedded')
    throw new CommandRefused(
      'The embedded database migrates itself when it is opened. Set DATABASE_URL and DATABASE_OWNER_URL to migrate PostgreSQL.',
    )
  const names = await migratePostgres(config, { isDryRun: options.dryRun ?? false, mayCreateKeyring: false })
  const verb = options.dryRun ? 'Would apply' : 'Applied'
  process.stdout.write(
    names.length === 0 ? 'The schema is up to date.\n' : names.map((name) => `${verb} ${name}\n`).join(''),
  )
}
