import { createSecretKey, randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  createPostgresDatabase,
  databaseKinds,
  type DatabaseKind,
  openTestDatabase,
  testContextKey,
  testEnvironment,
  TEST_LOGIN_ROLE,
  withDatabase,
  type TestDatabase,
} from '../../../../../packages/testkit/src/databases.ts'
import { asAdmin } from '../../../../../packages/testkit/src/postgres-server.ts'
import { createContextProof, hmacPads } from './context-proof.ts'
import { migrate, pendingMigrations, readMigrations, type Migration, type MigrationClient } from './migrate.ts'
import { openPostgres } from './postgres.ts'
import { statement } from './tx.ts'

/** The owner's way in, dressed as a client: enough to look at what is applied. */
function asClient(database: TestDatabase): MigrationClient {
  return { query: async (text, values = []) => ({ rows: [...(await database.ownerQuery(text, values))] }) }
}

function onLastKind(kind: DatabaseKind): (name: string, fn: () => Promise<void>) => void {
  return kind === databaseKinds.at(-1) ? (name, fn) => test(name, fn) : () => undefined
}

describe.each(databaseKinds)('migrations on %s', (kind) => {
  let database: TestDatabase
  let directory: string
  beforeEach(async () => {
    database = await openTestDatabase(kind)
    directory = await mkdtemp(join(tmpdir(), 'sotto-migrations-'))
  })
  afterEach(async () => {
    await database[Symbol.asyncDispose]()
    await rm(directory, { recursive: true })
  })

  // What does not depend on the engine is tried on one: a restart of the embedded one takes seconds.
  const testOnce = onLastKind(kind)

  async function withFile(name: string, sql: string): Promise<Migration[]> {
    await writeFile(join(directory, name), sql)
    return [...(await readMigrations()), ...(await readMigrations(pathToFileURL(`${directory}/`)))]
  }

  /** As it happens in life: PostgreSQL under a running server, the embedded engine at its start. */
  async function run(migrations: readonly Migration[], contextKey = testContextKey): Promise<string[]> {
    const before = await pendingMigrations(asClient(database), migrations)
    if ('adminUrl' in database.address) {
      const options = { contextKey, loginRole: TEST_LOGIN_ROLE, migrations }
      return asAdmin(database.address.adminUrl, (client) => migrate({ client, ...options }))
    }
    await database.restart({ migrations, contextKey })
    return before.map(({ name }) => name)
  }

  test('a migrated database has nothing pending, and migrating it again changes nothing', async () => {
    const migrations = await readMigrations()
    expect(await pendingMigrations(asClient(database), migrations)).toEqual([])
    expect(await run(migrations)).toEqual([])
  })

  test('a new file is pending, is applied once, and belongs to the owner', async () => {
    const migrations = await withFile('9001_new.sql', '-- Why.\ncreate table sotto.brand_new (id int primary key);')
    const pending = await pendingMigrations(asClient(database), migrations)
    expect(pending.map(({ name }) => name)).toEqual(['9001_new.sql'])
    expect(await run(migrations)).toEqual(['9001_new.sql'])
    expect(await run(migrations)).toEqual([])
    const owner = await database.ownerQuery(`select tableowner::text from pg_tables where tablename = 'brand_new'`)
    expect(owner).toEqual([{ tableowner: 'sotto_owner' }])
  })

  test('a file that fails leaves nothing behind and is named', async () => {
    const migrations = await withFile('9001_half.sql', 'create table sotto.half (id int); select 1 / 0;')
    await expect(run(migrations)).rejects.toThrow('9001_half.sql')
    if (kind === 'pglite') await database.restart()
    expect(await database.ownerQuery(`select 1 from pg_tables where tablename = 'half'`)).toEqual([])
    expect(await pendingMigrations(asClient(database), migrations)).toHaveLength(1)
  })

  testOnce('a file that was changed after it had been applied is refused', async () => {
    await run(await withFile('9001_new.sql', '-- Why.\nselect 1;'))
    const changed = await withFile('9001_new.sql', '-- Why.\nselect 2;')
    await expect(run(changed)).rejects.toThrow('9001_new.sql was changed')
    await expect(pendingMigrations(asClient(database), changed)).rejects.toThrow('9001_new.sql was changed')
  })

  testOnce('the line ends of the checkout do not count as a change', async () => {
    await run(await withFile('9001_new.sql', '-- Why.\nselect 1;\n'))
    expect(await run(await withFile('9001_new.sql', '-- Why.\r\nselect 1;\r\n'))).toEqual([])
  })

  testOnce('a database that is newer than the code is refused', async () => {
    await run(await withFile('9001_future.sql', 'select 1;'))
    await expect(run(await readMigrations())).rejects.toThrow('newer')
  })

  testOnce('a file that slips in before applied ones is refused', async () => {
    await run(await withFile('9002_new.sql', 'select 1;'))
    await expect(run(await withFile('9001_late.sql', 'select 1;'))).rejects.toThrow('9001_late.sql comes before')
  })

  testOnce('two files of one number, and a name without number, are refused', async () => {
    await withFile('9001_a.sql', 'select 1;')
    await expect(withFile('9001_b.sql', 'select 1;')).rejects.toThrow('Two migrations')
    await expect(withFile('new.sql', 'select 1;')).rejects.toThrow('not named')
  })

  test('an index is built without a transaction', async () => {
    const sql =
      '-- no-transaction: does not stop the writers.\ncreate index concurrently outbox_topic on sotto.outbox (tenant_id, topic);'
    expect(await run(await withFile('9001_index.sql', sql))).toEqual(['9001_index.sql'])
  })

  test('another context key makes the old proofs worthless', async () => {
    const key = createSecretKey(Buffer.alloc(32, 1))
    await run(await readMigrations(), key)
    const tenant = statement<{ id: string | null }>('test.tenant', 'select current_tenant_id() as id')
    const tenantId = randomUUID()
    expect(await database.db.withTx({ role: 'app', tenantId }, (tx) => tx.rows(tenant))).toEqual([{ id: null }])
  })

  test('each of a few key lengths gives the proof that Node computes', async () => {
    for (const length of [1, 20, 32, 63, 64]) {
      const key = createSecretKey(Buffer.alloc(length, 0xa5))
      const { inner, outer } = hmacPads(key)
      await database.ownerQuery('update sotto.context_key set inner_pad = $1, outer_pad = $2', [inner, outer])
      const [row] = await database.ownerQuery(`select sotto.is_proven('Zoë', $1) as proven`, [
        createContextProof(key)('Zoë'),
      ])
      expect(row).toEqual({ proven: true })
    }
  })
})

describe.runIf(databaseKinds.includes('postgres'))('migrating postgres', () => {
  async function onFresh(work: (url: string, client: pg.Client) => Promise<void>): Promise<void> {
    const serverUrl = process.env[testEnvironment.postgresUrl]!
    const name = await createPostgresDatabase(serverUrl)
    const url = withDatabase(serverUrl, name)
    await asAdmin(url, (client) => work(url, client))
    await asAdmin(serverUrl, (client) => client.query(`drop database ${name} with (force)`))
  }

  test('two that start at the same moment take turns', async () => {
    await onFresh(async (url, client) => {
      const all = (await readMigrations()).map(({ name }) => name)
      const options = { contextKey: testContextKey, loginRole: TEST_LOGIN_ROLE }
      const results = await Promise.all([
        migrate({ client, ...options }),
        asAdmin(url, (other) => migrate({ client: other, ...options })),
      ])
      expect(results.toSorted((a, b) => a.length - b.length)).toEqual([[], all])
    })
  })

  test('a login role that may bypass the walls is not let in', async () => {
    await onFresh(async (_, client) => {
      await client.query('create role mallory_the_bypasser login bypassrls')
      const attempt = migrate({ client, contextKey: testContextKey, loginRole: 'mallory_the_bypasser' })
      await expect(attempt).rejects.toThrow('Choose an ordinary role')
      await client.query('drop role mallory_the_bypasser')
    })
  })

  test('a role that may only create roles and owns the database can migrate', async () => {
    await onFresh(async (url, admin) => {
      const database = new URL(url).pathname.slice(1)
      const operator = `operator_${database}`
      await admin.query(`create role ${operator} login createrole; alter database ${database} owner to ${operator}`)
      // The cluster has the roles already; whoever did not make them needs them granted.
      await admin.query(
        `grant sotto_owner, sotto_app, sotto_relay, sotto_sequencer, sotto_lookup, sotto_jobs to ${operator} with admin option`,
      )
      const operatorUrl = url.replace('//postgres@', `//${operator}@`)
      await asAdmin(operatorUrl, (client) => migrate({ client, contextKey: testContextKey, loginRole: 'sotto_web' }))
      await using db = await openPostgres({
        url: url.replace('//postgres@', '//sotto_web@'),
        poolSize: 1,
        lanes: 0,
        tenantProof: createContextProof(testContextKey),
      })
      const tenantId = randomUUID()
      const tenant = statement<{ id: string }>('test.tenant', 'select current_tenant_id() as id')
      expect(await db.withTx({ role: 'app', tenantId }, (tx) => tx.rows(tenant))).toEqual([{ id: tenantId }])
    })
  })
})
