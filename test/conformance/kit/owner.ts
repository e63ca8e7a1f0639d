/** The database as its owner has it, beside the server: for white-box looks and for what no operation can do. */

import type { TestServer } from '@sotto/testkit'
import pg from 'pg'
import type { Embedded } from '../../../apps/server/src/platform/db/embedded.ts'

export type Row = Readonly<Record<string, unknown>>

export interface Owner extends AsyncDisposable {
  query(sql: string, values?: readonly unknown[]): Promise<readonly Row[]>
}

export async function openOwner({ adminUrl, composition }: TestServer): Promise<Owner> {
  if (adminUrl === undefined) {
    const { ownerQuery } = composition.db as Embedded
    return { query: (sql, values) => ownerQuery(sql, values), [Symbol.asyncDispose]: async () => {} }
  }
  const client = new pg.Client({ connectionString: adminUrl })
  client.on('error', () => {})
  await client.connect()
  return {
    query: async (sql, values = []) => (await client.query(sql, [...values])).rows as Row[],
    [Symbol.asyncDispose]: () => client.end(),
  }
}
