import { createSecretKey, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  databaseKinds,
  openTestDatabase,
  testContextProof,
  type TestDatabase,
} from '../../../../../packages/testkit/src/databases.ts'
import { createContextProof } from './context-proof.ts'
import { statement, type TxScope } from './tx.ts'

const alices = randomUUID()
const mallorys = randomUUID()

const publish = statement(
  'test.publish',
  `insert into outbox (tenant_id, outbox_id, topic, key, payload) values ($1, $2, 'message.sent', 'k', '{}')`,
)
const claim = statement(
  'test.claim',
  `select set_config('sotto.tenant_id', $1, true), set_config('sotto.tenant_proof', $2, true)`,
)
const tenant = statement<{ id: string | null }>('test.tenant', 'select current_tenant_id() as id')

describe.each(databaseKinds)('the walls between tenants on %s', (kind) => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await openTestDatabase(kind)
    await database.ownerQuery(`
      create table sotto.chart (tenant_id uuid not null, body text not null, primary key (tenant_id, body));
      select sotto.protect('sotto.chart');
      grant select, insert on sotto.chart to sotto_app;
      grant select on sotto.chart to sotto_jobs;
      select sotto.admit('sotto.chart', 'jobs', 'select')`)
    await database.ownerQuery(`insert into sotto.chart values ($1, 'of Alice'), ($2, 'of Mallory')`, [alices, mallorys])
  })
  afterAll(() => database[Symbol.asyncDispose]())

  const charts = statement<{ body: string }>('test.charts', 'select body from chart order by body')

  function seen(scope: TxScope, ...before: [string, string][]): Promise<string[]> {
    return database.db.withTx(scope, async (tx) => {
      for (const [tenantId, proof] of before) void tx.run(claim, [tenantId, proof])
      return (await tx.rows(charts)).map((row) => row.body)
    })
  }
  const asMallory = { role: 'app', tenantId: mallorys } as const

  test('each sees its own', async () => {
    expect(await seen({ role: 'app', tenantId: alices })).toEqual(['of Alice'])
    expect(await seen(asMallory)).toEqual(['of Mallory'])
  })

  test.each([
    ['no tenant', '', ''],
    ['no tenant but a proof', '', testContextProof('')],
    ['a foreign tenant without proof', alices, ''],
    ['a foreign tenant with the own proof', alices, testContextProof(mallorys)],
    [
      'a foreign tenant with a proof under another key',
      alices,
      createContextProof(createSecretKey(Buffer.alloc(32)))(alices),
    ],
    ['a foreign tenant with half a proof', alices, testContextProof(alices).slice(0, 32)],
    ['a foreign tenant with its proof in capitals', alices, testContextProof(alices).toUpperCase()],
    ['a job instead of a tenant', 'role:jobs', testContextProof(mallorys)],
  ])('%s shows nothing', async (_, tenantId, proof) => {
    expect(await seen(asMallory, [tenantId, proof])).toEqual([])
  })

  test('a tenant that was never set shows nothing, and neither does the rest of one that was', async () => {
    const lane = database.db.lane(0)
    await lane.withTx(async (tx) => {
      tx.enterTenant(alices)
      expect(await tx.rows(charts)).toHaveLength(1)
    })
    await lane.withTx(async (tx) => {
      expect(await tx.rows(tenant)).toEqual([{ id: null }])
      expect(await tx.rows(charts)).toEqual([])
    })
  })

  test('a row for another tenant is refused', async () => {
    const attempt = database.db.withTx(asMallory, (tx) => tx.run(publish, [alices, randomUUID()]))
    await expect(attempt).rejects.toMatchObject({ sqlState: '42501' })
  })

  test('the relay takes what the app publishes, and the app cannot read it back', async () => {
    await database.db.withTx({ role: 'app', tenantId: alices }, (tx) => tx.run(publish, [alices, randomUUID()]))
    const take = statement(
      'test.take',
      `delete from outbox where (tenant_id, outbox_id) in (
         select tenant_id, outbox_id from outbox where tenant_id = $1 for update skip locked) returning outbox_id`,
    )
    expect(await database.db.withTx({ role: 'relay' }, (tx) => tx.run(take, [alices]))).toBe(1)
    const peek = statement('test.peek', 'select * from outbox')
    await expect(database.db.withTx(asMallory, (tx) => tx.rows(peek))).rejects.toMatchObject({ sqlState: '42501' })
  })

  test('a job sees all tenants with its proof, and nothing when a statement of the app slips into its role', async () => {
    expect(await seen({ role: 'jobs' })).toEqual(['of Alice', 'of Mallory'])
    const become = statement('test.become', `select set_config('role', 'sotto_jobs', true)`)
    const stolen = await database.db.withTx(asMallory, async (tx) => {
      await tx.run(become)
      return tx.rows(charts)
    })
    expect(stolen).toEqual([])
  })

  test('outside its role a session may do nothing', async () => {
    for (const leave of ['reset role', 'set role none', `select set_config('role', 'none', true)`]) {
      const attempt = database.db.withTx(asMallory, async (tx) => {
        await tx.run(statement(`test.leave ${leave}`, leave))
        return tx.rows(charts)
      })
      await expect(attempt).rejects.toMatchObject({ sqlState: expect.stringMatching(/^(42501|42P01)$/) })
    }
  })

  test.each([
    'set role sotto_owner',
    'set local role postgres',
    `select set_config('role', 'sotto_owner', true)`,
    'set session authorization postgres',
    `select set_config('session_authorization', 'postgres', true)`,
    'set session authorization sotto_owner',
    'grant sotto_owner to sotto_login',
    'alter role sotto_login superuser',
    'alter role sotto_app bypassrls',
    'create role mallory',
    'alter table chart no force row level security',
    'alter table chart disable row level security',
    'drop policy tenant_only on chart',
    'create policy mine on chart to sotto_app using (true)',
    'create table sotto.mine ()',
    'create table public.mine ()',
    'create temporary table mine ()',
    'create schema mine',
    'create function sotto.mine() returns int language sql as $$select 1$$',
    'select inner_pad from context_key',
    'update context_key set inner_pad = outer_pad',
    `select is_proven('role:jobs', 'x')`,
    `select protect('chart')`,
    "select pg_read_file('PG_VERSION')",
    `copy (select 1) to '/tmp/mine'`,
    `copy (select 1) to program 'true'`,
    'select rolpassword from pg_authid',
    'alter system set fsync = off',
    'insert into deployment default values',
    'delete from schema_migration',
    'truncate chart',
  ])('the app cannot: %s', async (sql) => {
    for (const scope of [asMallory, { role: 'relay' } as const]) {
      const attempt = database.db.withTx(scope, (tx) => tx.run(statement(`test.escape ${sql}`.slice(0, 60), sql)))
      await expect(attempt).rejects.toMatchObject({ sqlState: expect.stringMatching(/^(42501|0A000|25001|42P01)$/) })
    }
  })

  test.each(['reset session authorization', 'set session authorization default', 'discard all'])(
    'giving back the session does not lead to more rights: %s',
    async (sql) => {
      const who = statement<{ session: string; superuser: string }>(
        'test.who',
        `select session_user as session, current_setting('is_superuser') as superuser`,
      )
      const found = await database.db
        .withTx(asMallory, async (tx) => {
          await tx.run(statement(`test.return ${sql}`, sql))
          return tx.rows(who)
        })
        .catch(() => database.db.withTx(asMallory, (tx) => tx.rows(who)))
      expect(found).toEqual([{ session: 'sotto_login', superuser: 'off' }])
      expect(await seen(asMallory)).toEqual(['of Mallory'])
    },
  )

  test('a setting that a statement leaves behind on the connection does not reach the next transaction', async () => {
    const leave = statement(
      'test.leave-behind',
      `select set_config('sotto.tenant_id', $1, false), set_config('sotto.tenant_proof', $2, false),
         set_config('role', 'sotto_jobs', false), set_config('search_path', 'pg_catalog', false)`,
    )
    const everyConnection = Array.from({ length: 8 }, () =>
      database.db.withTx({ role: 'app', tenantId: alices }, (tx) => tx.run(leave, [alices, testContextProof(alices)])),
    )
    await Promise.all(everyConnection)
    expect(await seen(asMallory)).toEqual(['of Mallory'])
    await database.db.lane(0).withTx(async (tx) => expect(await tx.rows(charts)).toEqual([]))
  })
})
