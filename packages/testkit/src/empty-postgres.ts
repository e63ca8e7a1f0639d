/** An empty database of a shared PostgreSQL, to be set up by the product's own commands. */

import { loadConfig, migratePostgres } from '@sotto/server'
import { createPostgresDatabase, testEnvironment, withDatabase } from './databases.ts'
import { asAdmin, type PostgresServer } from './postgres-server.ts'

export interface EmptyPostgres extends AsyncDisposable {
  readonly env: { readonly DATABASE_URL: string; readonly DATABASE_OWNER_URL: string }
  /** Migrates it under the keyring of these settings, which is made. @returns the settings that reach it */
  migrated(env: Readonly<Record<string, string>>): Promise<{ readonly DATABASE_URL: string }>
}

const LOGIN_ROLE = 'sotto_server'

/** @param server  a cluster of one's own; the shared one of the run when not given */
export async function prepareEmptyPostgres(server?: PostgresServer): Promise<EmptyPostgres> {
  const serverUrl = server?.adminUrl() ?? process.env[testEnvironment.postgresUrl]
  if (serverUrl === undefined) throw new Error('No PostgreSQL: run through vitest, whose global setup starts one')
  const name = await createPostgresDatabase(serverUrl)
  const ownerUrl = withDatabase(serverUrl, name)
  const env = { DATABASE_URL: ownerUrl.replace('//postgres@', `//${LOGIN_ROLE}@`), DATABASE_OWNER_URL: ownerUrl }
  return {
    env,
    async migrated(others) {
      await migratePostgres(loadConfig({ ...env, ...others }), { isDryRun: false, mayCreateKeyring: true })
      return { DATABASE_URL: env.DATABASE_URL }
    },
    async [Symbol.asyncDispose]() {
      if (server === undefined)
        await asAdmin(serverUrl, async (client) => void (await client.query(`drop database ${name} with (force)`)))
    },
  }
}
