import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createLocalKeyring, localKeyringExists, openLocalKeyring } from '../adapters/keyring-local/local-keyring.ts'
import { KeyringRefused } from '../adapters/keyring-local/keyring-folder.ts'
import type { Keyring } from '../domains/keys/index.ts'
import { createContextProof } from '../platform/db/context-proof.ts'
import { openEmbedded } from '../platform/db/embedded.ts'
import type { EngineEvent } from '../platform/db/embedded-supervisor.ts'
import { assertContextKnown } from '../platform/db/assert-context-known.ts'
import { assertMigrated } from '../platform/db/assert-migrated.ts'
import { openPostgres, type Postgres } from '../platform/db/postgres.ts'
import { systemRandom } from '../platform/ids/ids.ts'
import type { Log } from '../platform/log/log.ts'
import { systemClock } from '../platform/time/clock.ts'
import type { Config } from './config.ts'

/** The purpose under which the keyring derives the key behind the tenant proofs. */
export const CONTEXT_KEY_PURPOSE = 'tenant-context'

export interface OpenKeyringOptions {
  readonly mayCreate: boolean
  /**
   * That PostgreSQL has no schema of ours, from who has looked as its owner (`migratePostgres`). Whoever has not looked
   * makes no keyring for it: a server needs a migrated database, and migrating it has made the keyring.
   */
  readonly isPostgresEmpty?: boolean
}

/**
 * The keyring of the deployment. It is made only where there is no data yet: over existing data a new keyring would lock
 * everybody out for ever, and quietly.
 *
 * @throws KeyringRefused, with a message for the operator
 */
export async function openKeyring(config: Config, options: OpenKeyringOptions): Promise<Keyring> {
  const { keyringDir: folder, dataDir } = config
  const isEmbedded = config.database.kind === 'embedded'
  const hasData = existsSync(join(dataDir, 'database'))
  const isNew = isEmbedded || (options.isPostgresEmpty ?? false)
  if (!localKeyringExists(folder) && options.mayCreate && isNew && !hasData) {
    return createLocalKeyring({ folder, dataDir, random: systemRandom, clock: systemClock })
  }
  if (!localKeyringExists(folder) && !hasData && isEmbedded)
    throw new Error(
      `There is nothing at ${dataDir} yet. \`sotto init\` makes a first tenant there, \`sotto serve --demo\` a clinic to try out.`,
    )
  if (!localKeyringExists(folder) && !isEmbedded)
    throw new KeyringRefused(
      `There is no keyring in ${folder}. If the database at DATABASE_URL has been set up, nothing can be read without it: restore the folder, or correct SOTTO_KEYRING_DIR. If it is new, \`sotto init\` makes both.`,
    )
  return openLocalKeyring({ folder, dataDir, random: systemRandom })
}

/** The database as the login role. The embedded one is migrated by opening it; PostgreSQL never is by a server. */
export async function openDatabase(
  config: Config,
  keyring: Keyring,
  log: Log,
  onFatal: (error: Error) => void,
): Promise<Postgres> {
  const contextKey = keyring.derive(CONTEXT_KEY_PURPOSE)
  const tenantProof = createContextProof(contextKey)
  if (config.database.kind === 'embedded') {
    const onEvent = (event: EngineEvent) => logEngineEvent(log, event)
    return openEmbedded({ dataDir: config.dataDir, contextKey, tenantProof, clock: systemClock, onEvent, onFatal })
  }
  const { url, poolSize, lanes } = config.database
  const onConnectionError = (code: string) => log.warn('database.unavailable', { code })
  const db = await openPostgres({ url, poolSize, lanes, tenantProof, onConnectionError })
  try {
    await db.withTx({ role: 'lookup' }, assertMigrated)
    await db.withTx({ role: 'lookup' }, assertContextKnown)
    return db
  } catch (error) {
    await db[Symbol.asyncDispose]()
    throw error
  }
}

function logEngineEvent(log: Log, event: EngineEvent): void {
  const { kind } = event
  if (kind === 'not-checkpointed') log.warn('database.not-checkpointed', { reason: 'embedded' })
  else if (kind === 'unavailable')
    log.warn('database.unavailable', { reason: 'embedded', attempt: event.attempt }, event.error)
  else log.warn('database.recovered', { reason: 'embedded', attempt: event.attempt, durationMs: event.durationMs })
}
