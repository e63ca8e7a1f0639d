import pg from 'pg'

/** One connection outside of any pool: for an operator's command, as whoever the URL says. It is closed afterwards. */
export async function withPlainConnection<T>(
  url: string,
  applicationName: string,
  fn: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_MS_MAX,
  })
  // What a connection reports after it was lost has reached the query that waited.
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await fn(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}

const CONNECT_MS_MAX = 10_000

export interface PostgresState {
  /** As in `server_version_num`: 150004 is 15.4. */
  readonly version: number
  /** A superuser, or one who bypasses row-level security. */
  readonly powerful: boolean
  readonly fsync: string
  readonly commit: string
}

/** What an operator wants to know of a PostgreSQL before Sotto trusts it with anything. */
export async function inspectPostgres(url: string): Promise<PostgresState> {
  return withPlainConnection(url, 'sotto doctor', async (client) => {
    const { rows } = await client.query<PostgresState>(
      `select current_setting('server_version_num')::int as version, rolsuper or rolbypassrls as powerful,
         current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit
       from pg_roles where rolname = session_user`,
    )
    return rows[0]!
  })
}
