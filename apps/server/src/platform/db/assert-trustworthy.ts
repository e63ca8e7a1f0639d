import { UnsafeDatabase } from './errors.ts'

/** https://www.postgresql.org/docs/current/runtime-config-preset.html */
export const POSTGRES_OLDEST = 150_000

/**
 * SQL: may this role do what no tenants' wall withstands, by itself or as a member of another? Row-level security binds
 * neither a superuser nor a role with BYPASSRLS nor the owner, NOINHERIT keeps no member from `set role`, and who runs
 * programs or writes files of the server is a superuser by another way (PostgreSQL, "Predefined Roles").
 * @param role  an SQL expression, of type oid or name
 */
export function isPowerful(role: string): string {
  return `exists (select from pg_roles p
    where (p.rolsuper or p.rolbypassrls or p.rolname in
        ('sotto_owner', 'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'))
      and pg_has_role(${role}, p.oid, 'member'))`
}

/** Asked on each new connection: a cluster may have been replaced, or its settings changed, under a running server. */
export const traitsOfDatabase = `select current_setting('server_version_num')::int as version,
  current_setting('fsync') as fsync, ${isPowerful('session_user')} as powerful`

export interface DatabaseTraits {
  /** As in `server_version_num`: 150004 is 15.4. */
  readonly version: number
  readonly fsync: string
  readonly powerful: boolean
}

/** @throws UnsafeDatabase with a message for the operator */
export function assertTrustworthy({ version, fsync, powerful }: DatabaseTraits): void {
  if (version < POSTGRES_OLDEST)
    throw new UnsafeDatabase(`PostgreSQL ${Math.floor(version / 10_000)} is too old. Use 15 or newer.`)
  if (fsync !== 'on')
    throw new UnsafeDatabase(
      'PostgreSQL runs with fsync = off: what it acknowledges may be lost. Set fsync = on and start again.',
    )
  if (powerful)
    throw new UnsafeDatabase(
      'The role in DATABASE_URL is a superuser, bypasses row-level security, owns the schema, or is a member of a role that does. ' +
        'Log in as a role without rights of its own: create role sotto_login login noinherit password …; then run sotto migrate.',
    )
}
