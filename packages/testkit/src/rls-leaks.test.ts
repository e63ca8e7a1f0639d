import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds, openTestDatabase, type TestDatabase } from './databases.ts'
import { findRlsLeaks } from './rls-leaks.ts'

// Roles belong to the whole cluster, which other test files use at the same time: leaks in them are planted in roles of
// our own, or on the embedded engine only.
const plants: readonly { leak: number; sql: string; undo: string; says: string; only?: 'pglite' }[] = [
  {
    leak: 1,
    sql: 'alter table sotto.chart no force row level security',
    undo: 'alter table sotto.chart force row level security',
    says: 'chart: row-level security is not enabled and forced',
  },
  {
    leak: 1,
    sql: 'alter table sotto.chart disable row level security',
    undo: 'alter table sotto.chart enable row level security',
    says: 'chart: row-level security is not enabled and forced',
  },
  {
    leak: 1,
    sql: 'create table sotto.bare (id int primary key); alter table sotto.bare owner to sotto_owner',
    undo: 'drop table sotto.bare',
    says: 'bare: tenant_id is missing',
  },
  {
    leak: 1,
    sql: 'alter table sotto.chart owner to postgres',
    undo: 'alter table sotto.chart owner to sotto_owner',
    says: 'chart: belongs to postgres',
  },
  {
    leak: 1,
    sql: 'alter table sotto.chart add column x int; create table sotto.nullable (tenant_id uuid)',
    undo: 'drop table sotto.nullable; alter table sotto.chart drop column x',
    says: 'nullable: tenant_id may be null',
  },
  {
    leak: 1,
    sql: 'grant select on sotto.chart to public',
    undo: 'revoke select on sotto.chart from public',
    says: 'chart: PUBLIC may SELECT',
  },
  {
    leak: 1,
    sql: 'grant truncate on sotto.chart to sotto_app',
    undo: 'revoke truncate on sotto.chart from sotto_app',
    says: 'chart: sotto_app may TRUNCATE',
  },
  {
    leak: 1,
    sql: 'grant insert on sotto.deployment to sotto_jobs',
    undo: 'revoke insert on sotto.deployment from sotto_jobs',
    says: 'deployment: sotto_jobs may write without a proof',
  },
  {
    leak: 2,
    sql: 'create role sotto_extra noinherit bypassrls',
    undo: 'drop role sotto_extra',
    says: 'sotto_extra: bypasses',
    only: 'pglite',
  },
  {
    leak: 2,
    sql: 'create role sotto_extra noinherit superuser',
    undo: 'drop role sotto_extra',
    says: 'sotto_extra: is a superuser',
    only: 'pglite',
  },
  {
    leak: 2,
    sql: 'create role sotto_extra inherit',
    undo: 'drop role sotto_extra',
    says: 'sotto_extra: inherits',
    only: 'pglite',
  },
  {
    leak: 2,
    sql: 'alter role sotto_app login',
    undo: 'alter role sotto_app nologin',
    says: 'sotto_app: may log in',
    only: 'pglite',
  },
  {
    leak: 2,
    sql: 'grant sotto_owner to sotto_app',
    undo: 'revoke sotto_owner from sotto_app',
    says: 'sotto_app: is a member of sotto_owner',
    only: 'pglite',
  },
  {
    leak: 2,
    sql: 'grant sotto_owner to sotto_login',
    undo: 'revoke sotto_owner from sotto_login',
    says: 'sotto_login: may enter a role and is a member of sotto_owner',
    only: 'pglite',
  },
  {
    leak: 2,
    sql: `do $$ begin execute format('grant temporary on database %I to public', current_database()); end $$`,
    undo: `do $$ begin execute format('revoke temporary on database %I from public', current_database()); end $$`,
    says: 'PUBLIC may TEMPORARY',
  },
  {
    leak: 2,
    sql: 'grant create on schema public to public',
    undo: 'revoke create on schema public from public',
    says: 'public: PUBLIC may create in it',
  },
  {
    leak: 3,
    sql: 'create view sotto.charts as select * from sotto.chart',
    undo: 'drop view sotto.charts',
    says: 'charts: is a view without security_invoker',
  },
  {
    leak: 4,
    sql: `create function sotto.peek() returns int language sql security definer set search_path = pg_catalog, pg_temp as 'select 1'`,
    undo: 'drop function sotto.peek()',
    says: 'peek: acts with the rights of its owner',
  },
  {
    leak: 4,
    sql: 'alter function sotto.is_proven(text, text) reset search_path',
    undo: 'alter function sotto.is_proven(text, text) set search_path = pg_catalog, pg_temp',
    says: 'is_proven: acts with the rights of its owner under a search path that is not pinned',
  },
  {
    leak: 4,
    sql: 'grant execute on function sotto.is_proven(text, text) to public',
    undo: 'revoke execute on function sotto.is_proven(text, text) from public',
    says: 'is_proven: PUBLIC may execute it',
  },
  {
    leak: 5,
    sql: 'create materialized view sotto.counts as select count(*) from sotto.chart',
    undo: 'drop materialized view sotto.counts',
    says: 'counts: is a materialised view',
  },
  {
    leak: 6,
    sql: 'create unique index chart_body on sotto.chart (body)',
    undo: 'drop index sotto.chart_body',
    says: 'chart: tenant_id is not first in sotto.chart_body',
  },
  {
    leak: 6,
    sql: 'create unique index chart_body on sotto.chart (body, tenant_id)',
    undo: 'drop index sotto.chart_body',
    says: 'chart: tenant_id is not first in sotto.chart_body',
  },
  {
    leak: 7,
    sql: 'alter table sotto.chart add unique (chart_id); alter table sotto.page add constraint plain foreign key (chart_id) references sotto.chart (chart_id)',
    undo: 'alter table sotto.page drop constraint plain; alter table sotto.chart drop constraint chart_chart_id_key',
    says: 'page: tenant_id is not first on both sides of plain',
  },
  {
    leak: 10,
    sql: 'create policy open on sotto.chart to sotto_app using (true)',
    undo: 'drop policy open on sotto.chart',
    says: 'policy open lets sotto_app in',
  },
  {
    leak: 10,
    sql: `create policy plain on sotto.chart to sotto_app using (tenant_id = current_setting('sotto.tenant_id')::uuid)`,
    undo: 'drop policy plain on sotto.chart',
    says: 'policy plain lets sotto_app in',
  },
  {
    leak: 10,
    sql: 'create policy either on sotto.chart to sotto_app using (tenant_id = (select sotto.current_tenant_id()) or body is null)',
    undo: 'drop policy either on sotto.chart',
    says: 'policy either lets sotto_app in',
  },
  {
    leak: 10,
    sql: 'create policy job on sotto.chart for select to sotto_jobs using (true)',
    undo: 'drop policy job on sotto.chart',
    says: 'policy job lets sotto_jobs in',
  },
  {
    leak: 10,
    sql: `create policy other_job on sotto.chart for select to sotto_jobs using ((select sotto.acts_as('relay')) and true)`,
    undo: 'drop policy other_job on sotto.chart',
    says: 'policy other_job lets sotto_jobs in',
  },
  {
    leak: 10,
    sql: 'create policy everyone on sotto.chart using (tenant_id = (select sotto.current_tenant_id()))',
    undo: 'drop policy everyone on sotto.chart',
    says: 'policy everyone lets PUBLIC in',
  },
  {
    leak: 10,
    sql: 'create policy write on sotto.chart for insert to sotto_app with check (true)',
    undo: 'drop policy write on sotto.chart',
    says: 'policy write lets sotto_app in',
  },
]

describe.each(databaseKinds)('the walls between tenants in the catalogue of %s', (kind) => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await openTestDatabase(kind)
  })
  afterAll(() => database[Symbol.asyncDispose]())

  test('are whole', async () => {
    expect(await findRlsLeaks(database.ownerQuery)).toEqual([])
  })

  describe('are seen to leak', () => {
    beforeAll(async () => {
      await database.ownerQuery(`
        set role sotto_owner;
        create table sotto.chart (tenant_id uuid not null, chart_id uuid not null, body text, primary key (tenant_id, chart_id));
        select sotto.protect('sotto.chart');
        select sotto.admit('sotto.chart', 'jobs', 'all', 'body is not null');
        create table sotto.page (tenant_id uuid not null, page_id uuid not null, chart_id uuid, primary key (tenant_id, page_id),
          foreign key (tenant_id, chart_id) references sotto.chart);
        select sotto.protect('sotto.page');
        create view sotto.chart_heads with (security_invoker = true) as select tenant_id, chart_id from sotto.chart;
        create policy narrow on sotto.chart as restrictive to sotto_app using (body <> 'sealed');
        reset role`)
    })
    afterEach(async () => {
      expect(await findRlsLeaks(database.ownerQuery)).toEqual([])
    })

    test('never, where tables are made as they should be', async () => {
      expect(await findRlsLeaks(database.ownerQuery)).toEqual([])
    })

    test.each(plants.filter(({ only }) => only === undefined || only === kind))(
      '#$leak $sql',
      async ({ leak, sql, undo, says }) => {
        await database.ownerQuery(sql)
        const found = await findRlsLeaks(database.ownerQuery)
        await database.ownerQuery(undo)
        expect(found).toContainEqual({ leak, subject: expect.stringContaining(says) })
      },
    )
  })
})
