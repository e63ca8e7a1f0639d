// db/schema.sql: what all migrations together make, as a database itself tells it, to be read and reviewed as a
// difference. It is not applied anywhere. An engine in memory is migrated for it, so no PostgreSQL is needed and its version
// is the pinned one.
import { createSecretKey } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { PGlite } from '@electric-sql/pglite'
import { migrate, type MigrationClient } from './src/platform/db/migrate.ts'

const engine = await PGlite.create()
const client: MigrationClient = {
  query: async (text, values) =>
    values === undefined ? ((await engine.exec(text)).at(-1) ?? { rows: [] }) : engine.query(text, values),
}
await migrate({ client, contextKey: createSecretKey(Buffer.alloc(32)), loginRole: 'sotto_login' })
await writeFile(new URL('./db/schema.sql', import.meta.url), `${await renderSchema()}\n`)
await engine.close()

async function lines(sql: string): Promise<readonly string[]> {
  const { rows } = await engine.query<{ readonly line: string }>(sql)
  return rows.map(({ line }) => line)
}

async function renderSchema(): Promise<string> {
  const tables = await lines(`select relname as line from pg_class
    where relnamespace = 'sotto'::regnamespace and relkind in ('r', 'p') order by relname`)
  const parts = [
    '-- Generated from db/migrations by generate-schema.ts: what they make together. Read it; it is applied nowhere.',
    await renderRoles(),
    await renderFunctions(),
    ...(await Promise.all(tables.map(renderTable))),
  ]
  return parts.join('\n\n')
}

async function renderRoles(): Promise<string> {
  const roles =
    await lines(`select format('-- role %s: %s%s%s', rolname, case when rolcanlogin then 'login' else 'nologin' end,
      case when rolinherit then ', inherit' else ', noinherit' end,
      coalesce((select ', may enter ' || string_agg(g.rolname, ', ' order by g.rolname)
        from pg_auth_members m join pg_roles g on g.oid = m.roleid where m.member = r.oid), '')) as line
    from pg_roles r where rolname like 'sotto\\_%' order by rolname`)
  return roles.join('\n')
}

async function renderFunctions(): Promise<string> {
  const functions = await lines(`select pg_get_functiondef(p.oid) || ';'
      || coalesce(E'\\n-- executed by ' || (select string_agg(r.rolname, ', ' order by r.rolname)
        from aclexplode(p.proacl) a join pg_roles r on r.oid = a.grantee
        where a.grantee <> p.proowner), E'\\n-- executed by its owner only') as line
    from pg_proc p where pronamespace = 'sotto'::regnamespace order by proname`)
  return functions.join('\n\n')
}

async function renderTable(name: string): Promise<string> {
  const oid = `'sotto.${name}'::regclass`
  const columns = await lines(`select format('  %I %s%s%s', attname, format_type(atttypid, atttypmod),
      case when attnotnull then ' not null' else '' end, coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')) as line
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where attrelid = ${oid} and attnum > 0 and not attisdropped order by attnum`)
  const constraints = await lines(`select format('  constraint %I %s', conname, pg_get_constraintdef(oid)) as line
    from pg_constraint where conrelid = ${oid} and contype <> 'n' order by contype <> 'p', contype, conname`)
  const indexes = await lines(`select pg_get_indexdef(indexrelid) || ';' as line from pg_index
    where indrelid = ${oid} and not exists (select from pg_constraint c where c.conindid = indexrelid and c.conrelid = indrelid)
    order by indexrelid::regclass::text`)
  const security = await lines(`select format('-- row-level security: %s', case when relforcerowsecurity then 'forced'
      when relrowsecurity then 'on' else 'none' end) as line from pg_class where oid = ${oid}`)
  return [
    `create table sotto.${name} (\n${[...columns, ...constraints].join(',\n')}\n);`,
    ...indexes,
    ...security,
    ...(await renderPolicies(oid)),
    ...(await renderGrants(oid)),
  ].join('\n')
}

function renderPolicies(oid: string): Promise<readonly string[]> {
  return lines(`select format('create policy %I on %s for %s to %s%s%s;', polname, polrelid::regclass,
      case polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
      (select string_agg(rolname, ', ' order by rolname) from pg_roles where oid = any(polroles)),
      coalesce(' using (' || pg_get_expr(polqual, polrelid) || ')', ''),
      coalesce(' with check (' || pg_get_expr(polwithcheck, polrelid) || ')', '')) as line
    from pg_policy where polrelid = ${oid} order by polname`)
}

/** By role: what on the whole table, what on single columns. The owner may everything and is left out. */
function renderGrants(oid: string): Promise<readonly string[]> {
  return lines(`with granted as (
      select a.grantee, lower(a.privilege_type) as privilege, null as columns from pg_class c, aclexplode(c.relacl) a
      where c.oid = ${oid} and a.grantee <> c.relowner
      union all
      select a.grantee, lower(a.privilege_type), string_agg(quote_ident(attname), ', ' order by attnum)
      from pg_attribute t, aclexplode(t.attacl) a where t.attrelid = ${oid} group by a.grantee, a.privilege_type
    )
    select format('grant %s on %s to %s;',
      string_agg(privilege || coalesce(' (' || columns || ')', ''), ', ' order by columns is not null, privilege),
      ${oid}, coalesce(r.rolname, 'public')) as line
    from granted left join pg_roles r on r.oid = grantee group by r.rolname order by r.rolname`)
}
