/**
 * A migrated database for one test, on both engines: a copy of one that was migrated once per run (`global-setup.ts`).
 * `SOTTO_TEST_DATABASE` chooses: `pglite`, `postgres`, or both when it is not set.
 */

import { createSecretKey, randomUUID } from 'node:crypto'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { createContextProof } from '../../../apps/server/src/platform/db/context-proof.ts'
import { openEmbedded, type Embedded, type EmbeddedOptions } from '../../../apps/server/src/platform/db/embedded.ts'
import { migrate } from '../../../apps/server/src/platform/db/migrate.ts'
import { openPostgres, type Postgres } from '../../../apps/server/src/platform/db/postgres.ts'
import { systemClock } from '../../../apps/server/src/platform/time/clock.ts'
import { asAdmin } from './postgres-server.ts'

export type DatabaseKind = 'pglite' | 'postgres'

export const databaseKinds: readonly DatabaseKind[] = parseKinds(process.env['SOTTO_TEST_DATABASE'])

function parseKinds(value: string | undefined): DatabaseKind[] {
  if (value === undefined || value === '' || value === 'both') return ['pglite', 'postgres']
  if (value === 'pglite' || value === 'postgres') return [value]
  throw new Error(`SOTTO_TEST_DATABASE is '${value}'; it is pglite, postgres or both`)
}

export const testContextKey = createSecretKey(Buffer.from('the context key of tests 32 byte'))
export const testContextProof = createContextProof(testContextKey)
export const TEST_LOGIN_ROLE = 'sotto_login'

/** Set by `global-setup.ts` for the test files. */
export const testEnvironment = {
  postgresUrl: 'SOTTO_TEST_POSTGRES_URL',
  postgresTemplate: 'SOTTO_TEST_POSTGRES_TEMPLATE',
  embeddedTemplate: 'SOTTO_TEST_EMBEDDED_TEMPLATE',
} as const

export interface TestDatabase extends AsyncDisposable {
  readonly kind: DatabaseKind
  readonly db: Postgres
  /** Only on pglite: stops and starts on the same folder; `db` is then another one. */
  restart(changes?: Partial<EmbeddedOptions>): Promise<void>
  /** As the superuser, in a session apart, for white-box checks. Names need their schema; cast int8 and timestamptz. */
  ownerQuery(sql: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>
  /** How to reach it from another process or with another pool. */
  readonly address: { readonly url: string; readonly adminUrl: string } | { readonly dataDir: string }
}

export interface TestDatabaseOptions {
  readonly poolSize?: number
  readonly lanes?: number
}

export async function openTestDatabase(kind: DatabaseKind, options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  return kind === 'pglite' ? openEmbeddedTest() : openPostgresTest(options)
}

async function openEmbeddedTest(): Promise<TestDatabase> {
  const dataDir = await copyEmbeddedTemplate()
  let db = await openEmbeddedAt(dataDir)
  return {
    kind: 'pglite',
    get db() {
      return db
    },
    address: { dataDir },
    async restart(changes) {
      await db[Symbol.asyncDispose]()
      db = await openEmbeddedAt(dataDir, changes)
    },
    ownerQuery: (sql, values) => db.ownerQuery(sql, values),
    async [Symbol.asyncDispose]() {
      await db[Symbol.asyncDispose]()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** @returns a folder of its own with a migrated, closed database in it */
export async function copyEmbeddedTemplate(): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'sotto-embedded-'))
  const template = process.env[testEnvironment.embeddedTemplate]
  if (template !== undefined) await cp(join(template, 'database'), join(dataDir, 'database'), { recursive: true })
  return dataDir
}

export function openEmbeddedAt(dataDir: string, changes: Partial<EmbeddedOptions> = {}): Promise<Embedded> {
  return openEmbedded({
    dataDir,
    contextKey: testContextKey,
    tenantProof: testContextProof,
    clock: systemClock,
    ...changes,
  })
}

async function openPostgresTest(options: TestDatabaseOptions): Promise<TestDatabase> {
  const serverUrl = process.env[testEnvironment.postgresUrl]
  if (serverUrl === undefined) throw new Error('No PostgreSQL: run through vitest, whose global setup starts one')
  const name = await createPostgresDatabase(serverUrl, process.env[testEnvironment.postgresTemplate]!)
  const adminUrl = withDatabase(serverUrl, name)
  // A copy does not take over the privileges on the database itself.
  await migrateTestPostgres(adminUrl)
  const url = adminUrl.replace('//postgres@', `//${TEST_LOGIN_ROLE}@`)
  const owner = new pg.Pool({ connectionString: adminUrl, max: 1 })
  owner.on('error', () => {})
  const { poolSize = 4, lanes = 2 } = options
  const db = await openPostgres({ url, poolSize, lanes, tenantProof: testContextProof })
  return {
    kind: 'postgres',
    db,
    address: { url, adminUrl },
    restart: () => Promise.reject(new Error('Other tests use this PostgreSQL, too')),
    ownerQuery: async (sql, values = []) => lastRows(await owner.query(sql, [...values])),
    async [Symbol.asyncDispose]() {
      await Promise.all([db[Symbol.asyncDispose](), owner.end()])
      await asAdmin(serverUrl, (client) => client.query(`drop database ${name} with (force)`))
    },
  }
}

/** Several statements in one text give several results. */
function lastRows(result: pg.QueryResult | pg.QueryResult[]): Record<string, unknown>[] {
  return (Array.isArray(result) ? result.at(-1)! : result).rows
}

/** A copy of `template`, made by the server: some tens of milliseconds. */
export async function createPostgresDatabase(serverUrl: string, template = 'template1'): Promise<string> {
  const name = `test_${randomUUID().replaceAll('-', '')}`
  await asAdmin(serverUrl, async (client) => {
    await client.query(`create database ${name} template ${template}`)
  })
  return name
}

export function withDatabase(url: string, name: string): string {
  const changed = new URL(url)
  changed.pathname = `/${name}`
  return changed.href
}

export async function migrateTestPostgres(adminUrl: string): Promise<void> {
  await asAdmin(adminUrl, (client) => migrate({ client, contextKey: testContextKey, loginRole: TEST_LOGIN_ROLE }))
}
