import type { Owner } from './owner.ts'

/**
 * What a refusal may write: that it happened, and how often somebody failed to sign in. A session that is used says so, a
 * device that it was seen, and a node that it lives.
 */
const TRACES = ['audit_event', 'audit_body', 'sign_in_failure', 'node']
const TOUCHED: Readonly<Record<string, readonly string[]>> = {
  session: ['last_active_at'],
  device: ['last_seen_at'],
}

export type Digest = Readonly<Record<string, string>>

/** Every row of every table, as one hash per table. */
export async function digestTables(owner: Owner, where = ''): Promise<Digest> {
  const tables = await owner.query(
    `select table_name::text as name from information_schema.tables
     where table_schema = 'sotto' and table_type = 'BASE TABLE' order by 1`,
  )
  const digest: Record<string, string> = {}
  for (const { name } of tables as readonly { readonly name: string }[]) {
    if (TRACES.includes(name)) continue
    const hidden = (TOUCHED[name] ?? []).map((column) => ` - '${column}'`).join('')
    const hasTenant = await owner.query(
      `select 1 from information_schema.columns where table_schema = 'sotto' and table_name = $1 and column_name = 'tenant_id'`,
      [name],
    )
    if (where !== '' && hasTenant.length === 0) continue
    const [row] = await owner.query(
      `select count(*)::int || ' rows ' || coalesce(md5(string_agg(line, '|' order by line)), '') as hash
       from (select (to_jsonb(t)${hidden})::text as line from sotto.${name} t ${where}) as lines`,
    )
    digest[name] = String(row!['hash'])
  }
  return digest
}
