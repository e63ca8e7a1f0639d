import { pendingMigrations, readMigrations } from './migrate.ts'
import { statement, type Tx } from './tx.ts'

const exists = statement<{ exists: boolean }>(
  'migration.exists',
  `select to_regclass('sotto.schema_migration') is not null as exists`,
)
const list = statement<{ version: number; name: string; checksum: string }>(
  'migration.list',
  'select version, name, checksum from schema_migration order by version',
)

/**
 * A server never migrates PostgreSQL by itself: several may start at once, and going forward is the operator's decision.
 * @throws Error that says what to run
 */
export async function assertMigrated(tx: Tx): Promise<void> {
  const [table] = await tx.rows(exists)
  if (!table!.exists) throw new Error('The database is empty. Run `sotto init` for a first tenant, or `sotto migrate`.')
  const applied = await tx.rows(list)
  const client = { query: async (text: string) => ({ rows: text.includes('to_regclass') ? [table!] : [...applied] }) }
  const pending = await pendingMigrations(client, await readMigrations())
  if (pending.length > 0)
    throw new Error(
      `The database lacks ${pending.map(({ name }) => name).join(', ')}. Run \`sotto migrate\`, then start again.`,
    )
}
