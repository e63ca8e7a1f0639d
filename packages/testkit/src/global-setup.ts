/**
 * Vitest's global setup: one PostgreSQL and one migrated template per engine for all test files of a run. Each suite of
 * the run asks for it; the first one makes it, and it ends with the run.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { databaseKinds, migrateTestPostgres, openEmbeddedAt, testEnvironment, withDatabase } from './databases.ts'
import { asAdmin, startPostgresServer } from './postgres-server.ts'

const TEMPLATE = 'sotto_template'
/** Which process has done it: each suite loads a copy of this file. */
const SET_UP = 'SOTTO_TEST_SET_UP'

export default async function setUp(): Promise<() => Promise<void>> {
  if (process.env[SET_UP] === String(process.pid)) return async () => {}
  process.env[SET_UP] = String(process.pid)
  await using stack = new AsyncDisposableStack()
  stack.defer(() => void delete process.env[SET_UP])
  if (databaseKinds.includes('postgres')) await setUpPostgres(stack)
  if (databaseKinds.includes('pglite')) await setUpEmbedded(stack)
  const resources = stack.move()
  return () => resources.disposeAsync()
}

async function setUpPostgres(stack: AsyncDisposableStack): Promise<void> {
  // Deadlocks are looked for soon, so that tests that make one are quick.
  const server = stack.use(await startPostgresServer(['deadlock_timeout=50ms', 'max_connections=200']))
  await asAdmin(server.adminUrl(), (client) => client.query(`create database ${TEMPLATE}`))
  await migrateTestPostgres(withDatabase(server.adminUrl(), TEMPLATE))
  process.env[testEnvironment.postgresUrl] = server.adminUrl()
  process.env[testEnvironment.postgresTemplate] = TEMPLATE
}

async function setUpEmbedded(stack: AsyncDisposableStack): Promise<void> {
  const template = await mkdtemp(join(tmpdir(), 'sotto-template-'))
  stack.defer(() => rm(template, { recursive: true, force: true }))
  const database = await openEmbeddedAt(template)
  await database[Symbol.asyncDispose]()
  process.env[testEnvironment.embeddedTemplate] = template
}
