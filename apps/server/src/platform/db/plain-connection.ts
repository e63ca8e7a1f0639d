import pg from 'pg'
import { traitsOfDatabase, type DatabaseTraits } from './assert-trustworthy.ts'

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

/** What an operator wants to know of a PostgreSQL before Sotto trusts it with anything. */
export async function inspectPostgres(url: string): Promise<DatabaseTraits> {
  return withPlainConnection(url, 'sotto doctor', async (client) => {
    const { rows } = await client.query<DatabaseTraits>(traitsOfDatabase)
    return rows[0]!
  })
}
