/**
 * The ways in which row-level security leaks, as assertions over a migrated schema. They look at the catalogue, so they
 * hold every later table to the same rules without being told of it.
 *
 * | #  | leak                                                       | assertion                                          |
 * | -- | ---------------------------------------------------------- | -------------------------------------------------- |
 * | 1  | the owner of a table is exempt                             | row-level security enabled and forced, tenant_id   |
 * | 2  | superusers, BYPASSRLS and their members are exempt         | attributes and memberships of our roles            |
 * | 3  | a view reads with its owner's rights                       | security_invoker                                   |
 * | 4  | a SECURITY DEFINER function acts with its owner's rights   | a list of those that may, with pinned search_path  |
 * | 5  | a materialised view knows no rows' owners                  | none                                               |
 * | 6  | a global unique key tells that a value exists elsewhere    | tenant_id comes first in every unique key          |
 * | 7  | a foreign key is checked without row-level security        | tenant_id comes first on both sides                |
 * | 8  | a session setting outlives its request on the connection   | by trying (tenancy.test.ts)                        |
 * | 9  | a setting reads '' after its transaction, not null         | policies use only sotto.current_tenant_id          |
 * | 10 | whoever can send SQL can change a setting                  | the same, whose proof is checked; jobs: acts_as    |
 */

export type OwnerQuery = (sql: string, values?: readonly unknown[]) => Promise<readonly Record<string, unknown>[]>

export interface Leak {
  /** The number of the table above. */
  readonly leak: number
  /** The object, and what is wrong with it. */
  readonly subject: string
}

/** Tables that belong to the installation, not to a tenant. What a job writes there needs its proof, all the same. */
export const tablesWithoutTenant: readonly string[] = ['schema_migration', 'deployment', 'context_key', 'node']

/** A tenant's public name, which stands in addresses: that it exists is no secret. */
export const globalUniqueKeys: readonly string[] = ['tenant_slug_key']

/** Functions that may act with the owner's rights: they give a verdict on a proof and read no tenant's table. */
export const definerFunctions: readonly string[] = ['is_proven', 'current_tenant_id', 'acts_as']

const ownTables = `pg_class c join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'sotto'`
const isTable = `c.relkind in ('r', 'p')`
const tenantColumn = `(select a.attnum from pg_attribute a
  where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)`

const forced = `
  select c.relname || ': row-level security is not enabled and forced' as subject from ${ownTables}
    where ${isTable} and c.relname <> all ($1) and not (c.relrowsecurity and c.relforcerowsecurity)
  union all
  select c.relname || ': tenant_id is missing' from ${ownTables}
    where ${isTable} and c.relname <> all ($1) and ${tenantColumn} is null
  union all
  select c.relname || ': tenant_id may be null' from ${ownTables}
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attnotnull
    where ${isTable}
  union all
  select c.relname || ': belongs to ' || pg_get_userbyid(c.relowner) from ${ownTables}
    where pg_get_userbyid(c.relowner) <> 'sotto_owner'
  union all
  select c.relname || ': PUBLIC may ' || g.privilege_type from ${ownTables}, aclexplode(c.relacl) g where g.grantee = 0
  union all
  select c.relname || ': ' || pg_get_userbyid(g.grantee) || ' may ' || g.privilege_type
    from ${ownTables}, aclexplode(c.relacl) g
    where g.privilege_type in ('TRUNCATE', 'REFERENCES', 'TRIGGER') and pg_get_userbyid(g.grantee) <> 'sotto_owner'
  union all
  select c.relname || ': ' || pg_get_userbyid(g.grantee) || ' may write without a proof'
    from ${ownTables}, aclexplode(c.relacl) g
    where c.relname = any ($1) and not (c.relrowsecurity and c.relforcerowsecurity) and g.privilege_type <> 'SELECT' and pg_get_userbyid(g.grantee) <> 'sotto_owner'`

const roles = `
  select rolname || ': is a superuser' as subject from pg_roles where rolname like 'sotto\\_%' and rolsuper
  union all
  select rolname || ': bypasses row-level security or makes roles' from pg_roles
    where rolname like 'sotto\\_%' and (rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)
  union all
  select rolname || ': may log in' from pg_roles where rolname = any ($1) and rolcanlogin
  union all
  select rolname || ': inherits' from pg_roles where rolname like 'sotto\\_%' and rolinherit
  union all
  select pg_get_userbyid(member) || ': is a member of ' || pg_get_userbyid(roleid) from pg_auth_members
    where pg_get_userbyid(member) = any ($1)
  union all
  select pg_get_userbyid(m.member) || ': may enter a role and is a member of ' || pg_get_userbyid(m.roleid)
    from pg_auth_members m join pg_roles r on r.oid = m.member
    where r.rolcanlogin and not r.rolcreaterole and pg_has_role(r.oid, 'sotto_app', 'member')
      and pg_get_userbyid(m.roleid) <> all ($1)
  union all
  select d.datname || ': PUBLIC may ' || g.privilege_type from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) g
    where d.datname = current_database() and g.grantee = 0
  union all
  select n.nspname || ': ' || case g.grantee when 0 then 'PUBLIC' else pg_get_userbyid(g.grantee) end || ' may create in it'
    from pg_namespace n, aclexplode(n.nspacl) g
    where n.nspname in ('sotto', 'public') and g.privilege_type = 'CREATE'
      and (g.grantee = 0 or pg_get_userbyid(g.grantee) = any ($1))`

const views = `
  select c.relname || ': is a view without security_invoker' as subject from ${ownTables}
    where c.relkind = 'v' and not coalesce(c.reloptions @> array['security_invoker=true'], false)`

const definers = `
  select p.proname || ': acts with the rights of its owner' as subject
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname in ('sotto', 'public') and p.prosecdef and p.proname <> all ($1)
  union all
  select p.proname || ': acts with the rights of its owner under a search path that is not pinned'
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname in ('sotto', 'public') and p.prosecdef
      and not coalesce(p.proconfig @> array['search_path=pg_catalog, pg_temp'], false)
  union all
  select p.proname || ': PUBLIC may execute it' from pg_proc p join pg_namespace n on n.oid = p.pronamespace,
    aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
    where n.nspname = 'sotto' and g.grantee = 0
  union all
  select p.proname || ': is leakproof' from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'sotto' and p.proleakproof`

const materialised = `
  select c.relname || ': is a materialised view' as subject from ${ownTables} where c.relkind = 'm'`

const uniqueKeys = `
  select c.relname || ': tenant_id is not first in ' || i.indexrelid::regclass::text as subject
    from ${ownTables} join pg_index i on i.indrelid = c.oid
    where ${isTable} and (i.indisunique or i.indisexclusion) and ${tenantColumn} is not null
      and i.indexrelid::regclass::text <> all (select 'sotto.' || k from unnest($1::text[]) k)
      and i.indkey[0] is distinct from ${tenantColumn}`

const foreignKeys = `
  select c.relname || ': tenant_id is not first on both sides of ' || k.conname as subject
    from pg_constraint k join ${ownTables} on c.oid = k.conrelid
    where k.contype = 'f' and c.relname <> all ($1)
      and (k.conkey[1] is distinct from ${tenantColumn}
        or k.confkey[1] is distinct from (select a.attnum from pg_attribute a
          where a.attrelid = k.confrelid and a.attname = 'tenant_id' and not a.attisdropped))`

const tenantOnly = `(tenant_id = ( SELECT sotto.current_tenant_id() AS current_tenant_id))`

const policies = `
  with policy as (
    select c.relname, p.polname, p.polpermissive, r.role, e.expression
      from pg_policy p join ${ownTables} on c.oid = p.polrelid,
        lateral (select case o when 0 then 'PUBLIC' else pg_get_userbyid(o)::text end as role from unnest(p.polroles) o) r,
        lateral (values (pg_get_expr(p.polqual, p.polrelid)), (pg_get_expr(p.polwithcheck, p.polrelid))) e (expression)
      where e.expression is not null)
  select relname || ': policy ' || polname || ' lets ' || role || ' in without a proof' as subject from policy
    where polpermissive and not case
      when role = 'sotto_app' then expression = '${tenantOnly}' or starts_with(expression, '(${tenantOnly} AND ')
      when role = any ($1) then starts_with(expression,
        format('(( SELECT sotto.acts_as(%L::text) AS acts_as) AND ', substr(role, length('sotto_') + 1)))
      else false end`

const entryRoles = ['sotto_app', 'sotto_relay', 'sotto_sequencer', 'sotto_lookup', 'sotto_jobs']

const checks: readonly { readonly leak: number; readonly sql: string; readonly allowed: readonly string[] }[] = [
  { leak: 1, sql: forced, allowed: tablesWithoutTenant },
  { leak: 2, sql: roles, allowed: entryRoles },
  { leak: 3, sql: views, allowed: [] },
  { leak: 4, sql: definers, allowed: definerFunctions },
  { leak: 5, sql: materialised, allowed: [] },
  { leak: 6, sql: uniqueKeys, allowed: globalUniqueKeys },
  { leak: 7, sql: foreignKeys, allowed: tablesWithoutTenant },
  { leak: 10, sql: policies, allowed: entryRoles },
]

/** @returns nothing when the walls are whole */
export async function findRlsLeaks(ownerQuery: OwnerQuery): Promise<Leak[]> {
  const found: Leak[] = []
  for (const { leak, sql, allowed } of checks) {
    const rows = await ownerQuery(sql, sql.includes('$1') ? [allowed] : [])
    found.push(...rows.map((row) => ({ leak, subject: String(row['subject']) })))
  }
  return found
}
