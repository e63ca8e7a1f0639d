/**
 * Migrations: numbered files of SQL, forward only, each with a first line that says why.
 *
 * | state of a file            | what happens                                             |
 * | -------------------------- | -------------------------------------------------------- |
 * | not in `schema_migration`  | applied, in order, in a transaction of its own           |
 * | there, same checksum       | nothing                                                  |
 * | there, other checksum      | refused: an applied file was edited                      |
 * | in the table, not a file   | refused: the database is newer than this code            |
 *
 * A file whose first line says `-- no-transaction` holds one statement that cannot run in one (create index
 * concurrently). All run as `sotto_owner`, except the first, which makes that role.
 */

import { createHash, type KeyObject } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import pg from 'pg'
import { isPowerful } from './assert-trustworthy.ts'
import { hmacPads } from './context-proof.ts'

export interface Migration {
  readonly version: number
  readonly name: string
  readonly sql: string
  readonly checksum: string
  readonly isTransactional: boolean
}

/** What migrating needs of a connection; `pg.Client` is one. */
export interface MigrationClient {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>
}

export interface MigrateOptions {
  /** Connected as a superuser, or as a role with CREATEROLE that owns the database. */
  readonly client: MigrationClient
  /** 32 to 64 bytes, the key behind the tenant proofs. */
  readonly contextKey: KeyObject
  /** The role in the server's DATABASE_URL; made if missing. */
  readonly loginRole: string
  readonly migrations?: readonly Migration[]
}

export const migrationsDir = new URL('../../../db/migrations/', import.meta.url)

const fileName = /^(\d{4})_([a-z0-9_]+)\.sql$/

export async function readMigrations(dir: URL = migrationsDir): Promise<Migration[]> {
  const names = (await readdir(dir)).filter((name) => name.endsWith('.sql')).toSorted()
  const migrations = await Promise.all(names.map((name) => readMigration(dir, name)))
  const twice = migrations.find((migration, index) => migration.version === migrations[index + 1]?.version)
  if (twice !== undefined) throw new Error(`Two migrations have the number of ${twice.name}`)
  return migrations
}

async function readMigration(dir: URL, name: string): Promise<Migration> {
  const version = fileName.exec(name)?.[1]
  if (version === undefined) throw new Error(`Migration ${name} is not named like 0001_why.sql`)
  const sql = (await readFile(new URL(name, dir), 'utf8')).replaceAll('\r\n', '\n')
  const checksum = createHash('sha256').update(sql).digest('hex')
  return { version: Number(version), name, sql, checksum, isTransactional: !sql.startsWith('-- no-transaction') }
}

/**
 * Brings the schema up to the code, stores the context key and lets the login role in. Running it again changes nothing
 * (but a new context key replaces the old one at once, and proofs made with the old one count no more).
 * @returns the names of the files that were applied
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const { client } = options
  const migrations = options.migrations ?? (await readMigrations())
  await client.query(`select pg_advisory_lock(${lockKey})`)
  try {
    const pending = await pendingMigrations(client, migrations)
    for (const migration of pending) await apply(client, migration)
    await storeContextKey(client, options.contextKey)
    await closeDatabase(client)
    await admitLogin(client, options.loginRole)
    return pending.map((migration) => migration.name)
  } finally {
    await client.query(`select pg_advisory_unlock(${lockKey})`)
  }
}

/** Any constant of our own; two servers that migrate at the same moment meet here. */
const lockKey = 7_363_841_199

/**
 * @returns the files that are not applied yet, in order
 * @throws Error when an applied file changed, or the database knows a file that this code does not
 */
export async function pendingMigrations(
  client: MigrationClient,
  migrations: readonly Migration[],
): Promise<readonly Migration[]> {
  const applied = await appliedMigrations(client)
  for (const row of applied) {
    const known = migrations.find((migration) => migration.version === row.version)
    if (known === undefined) {
      throw new Error(
        `The database has migration ${row.name}, which this version of Sotto does not know: it is newer. Run a newer Sotto.`,
      )
    }
    if (known.checksum !== row.checksum) {
      throw new Error(
        `Migration ${known.name} was changed after it had been applied. Restore the file; write a new one instead.`,
      )
    }
  }
  const newest = applied.at(-1)?.version ?? 0
  const pending = migrations.filter(({ version }) => !applied.some((row) => row.version === version))
  const late = pending.find(({ version }) => version < newest)
  if (late !== undefined)
    throw new Error(`Migration ${late.name} comes before ${newest}, which is applied. Give it a new number.`)
  return pending
}

interface Applied {
  readonly version: number
  readonly name: string
  readonly checksum: string
}

async function appliedMigrations(client: MigrationClient): Promise<Applied[]> {
  const { rows } = await client.query(`select to_regclass('sotto.schema_migration') is not null as exists`)
  if (!(rows[0] as { exists: boolean }).exists) return []
  const applied = await client.query('select version, name, checksum from sotto.schema_migration order by version')
  return applied.rows as Applied[]
}

async function apply(client: MigrationClient, migration: Migration): Promise<void> {
  const isFirst = migration.version === 1
  try {
    if (migration.isTransactional) {
      await client.query('begin')
      if (!isFirst) await client.query('set local role sotto_owner')
      await client.query(migration.sql)
      await client.query('set local role sotto_owner')
      await keepRecord(client, migration)
      await client.query('commit')
    } else {
      await client.query('set role sotto_owner')
      await client.query(migration.sql)
      await keepRecord(client, migration)
      await client.query('reset role')
    }
  } catch (error) {
    await client.query(migration.isTransactional ? 'rollback' : 'reset role')
    throw new Error(`Migration ${migration.name} failed: ${(error as Error).message}`, { cause: error })
  }
}

async function keepRecord(client: MigrationClient, { version, name, checksum }: Migration): Promise<void> {
  await client.query('insert into sotto.schema_migration (version, name, checksum) values ($1, $2, $3)', [
    version,
    name,
    checksum,
  ])
}

/** @returns whether proofs made with this key count in the database; true when it has no key yet */
export async function isContextKeyOf(client: MigrationClient, contextKey: KeyObject): Promise<boolean> {
  const { inner } = hmacPads(contextKey)
  await client.query('set role sotto_owner')
  try {
    const { rows } = await client.query('select inner_pad = $1 as same from sotto.context_key', [inner])
    return rows.every((row) => (row as { same: boolean }).same)
  } finally {
    await client.query('reset role')
  }
}

async function storeContextKey(client: MigrationClient, contextKey: KeyObject): Promise<void> {
  const { inner, outer } = hmacPads(contextKey)
  await client.query('set role sotto_owner')
  try {
    await client.query(
      `insert into sotto.context_key (inner_pad, outer_pad) values ($1, $2)
         on conflict (only_one) do update set inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad
         where (context_key.inner_pad, context_key.outer_pad) is distinct from (excluded.inner_pad, excluded.outer_pad)`,
      [inner, outer],
    )
  } finally {
    await client.query('reset role')
  }
}

/** Without this every role could make temporary tables, whose names come before ours in a search path left open. */
async function closeDatabase(client: MigrationClient): Promise<void> {
  await client.query(`do $$ begin
    execute format('revoke all on database %I from public', current_database());
    revoke all on schema public from public;
  end $$`)
}

export const entryRoles = ['sotto_app', 'sotto_relay', 'sotto_sequencer', 'sotto_lookup', 'sotto_jobs'] as const

interface LoginRole {
  readonly powerful: boolean
  readonly inherits: boolean
  readonly has_grant_options: boolean
  readonly database: string
}

/** The login role may enter each role of a transaction and inherits nothing from any: outside a transaction it is nobody. */
async function admitLogin(client: MigrationClient, loginRole: string): Promise<void> {
  const login = pg.escapeIdentifier(loginRole)
  const { rows } = await client.query(
    `select ${isPowerful('pg_roles.oid')} as powerful, rolinherit as inherits,
       current_setting('server_version_num')::int >= 160000 as has_grant_options,
       current_database() as database
     from pg_roles where rolname = $1`,
    [loginRole],
  )
  if (rows.length === 0) {
    await client.query(`create role ${login} login nosuperuser nobypassrls nocreatedb nocreaterole noinherit`)
    return admitLogin(client, loginRole)
  }
  const role = rows[0] as LoginRole
  if (role.powerful) {
    throw new Error(
      `The login role ${loginRole} is a superuser, bypasses row-level security, owns the schema, or is a member of a role that does. Choose an ordinary role.`,
    )
  }
  if (role.inherits) await client.query(`alter role ${login} noinherit`)
  const how = role.has_grant_options ? 'with inherit false, set true' : ''
  await client.query(`grant ${entryRoles.join(', ')} to ${login} ${how}`)
  await client.query(`grant connect on database ${pg.escapeIdentifier(role.database)} to ${login}`)
}
