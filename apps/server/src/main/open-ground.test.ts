import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { prepareEmptyPostgres, type EmptyPostgres } from '../../../../packages/testkit/src/empty-postgres.ts'
import { loadConfig } from './config.ts'
import { migratePostgres } from './migrate-postgres.ts'
import { startServer } from './server.ts'
import { withComposition } from './with-composition.ts'

const mayCreateKeyring = true

describe('a keyring for PostgreSQL', { timeout: 60_000 }, () => {
  let folder: string
  let postgres: EmptyPostgres

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sotto-ground-'))
    postgres = await prepareEmptyPostgres()
  }, 120_000)

  afterAll(async () => {
    await postgres[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  const configWith = (keyring: string) =>
    loadConfig({
      ...postgres.env,
      SOTTO_PORT: '0',
      SOTTO_LOG_LEVEL: 'silent',
      SOTTO_DATA_DIR: join(folder, 'data'),
      SOTTO_KEYRING_DIR: join(folder, keyring),
    })

  test('is not made by a server or a command, not even for an empty database: neither migrates it', async () => {
    await expectRefusals(configWith('stray'))
    expect(existsSync(join(folder, 'stray'))).toBe(false)
  })

  test('is made together with the schema, and over a schema never again', async () => {
    await migratePostgres(configWith('keyring'), { isDryRun: false, mayCreateKeyring })
    expect(existsSync(join(folder, 'keyring'))).toBe(true)
    await expectRefusals(configWith('stray'))
    await expect(migratePostgres(configWith('stray'), { isDryRun: false, mayCreateKeyring })).rejects.toThrow(
      'There is no keyring in',
    )
    expect(existsSync(join(folder, 'stray'))).toBe(false)
  })

  async function expectRefusals(config: ReturnType<typeof configWith>): Promise<void> {
    await expect(startServer({ config, mayCreateKeyring })).rejects.toThrow('There is no keyring in')
    const command = withComposition(config, { mayCreateKeyring }, async () => undefined)
    await expect(command).rejects.toThrow('If it is new, `sotto init` makes both.')
  }
})
