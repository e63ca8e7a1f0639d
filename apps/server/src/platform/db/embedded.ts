/** The embedded database: PostgreSQL in a worker thread, on a folder that is ours alone, started again when it dies. */

import type { KeyObject } from 'node:crypto'
import { join } from 'node:path'
import pg from 'pg'
import { dbLimits } from '../limits/db-limits.ts'
import type { Clock } from '../time/clock.ts'
import type { ContextProof } from './context-proof.ts'
import { lockDirectory } from './directory-lock.ts'
import type { Engine } from './embedded-engine.ts'
import { superviseEngine, type EngineEvent, type Supervisor } from './embedded-supervisor.ts'
import { migrate, type Migration } from './migrate.ts'
import { openPostgres, type Postgres } from './postgres.ts'

export interface EmbeddedOptions {
  /** Sotto's data folder. The database is in `database/` of it; the lock is on the whole. */
  readonly dataDir: string
  readonly contextKey: KeyObject
  readonly tenantProof: ContextProof
  readonly clock: Clock
  /** The files to apply; all of `db/migrations` when not given. */
  readonly migrations?: readonly Migration[]
  /** A single call into the engine that lasts longer ends it, and it is started again. */
  readonly hungAfterMs?: number
  /** Told when the engine dies, when it is back, and when it had to be cut off at the stop. */
  readonly onEvent?: (event: EngineEvent) => void
  /** The engine died and can never be started again in this process (see the supervisor): the process should end. */
  readonly onFatal?: (error: Error) => void
}

export interface Embedded extends Postgres {
  /**
   * Runs SQL as the superuser between two transactions: backup, maintenance, white-box tests.
   * @throws DatabaseUnavailable when the engine is down, or dies of it
   */
  ownerQuery(sql: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>
  /** How many times the disk was told to keep what it has (fsync, fdatasync), since the start. */
  syncCount(): number
}

const LOGIN_ROLE = 'sotto_login'

/**
 * Opens the folder, recovers it if the last server was killed, migrates it, and gives up every right but the login
 * role's. When the engine dies (a full disk, a PANIC), whoever waits and whoever comes gets DatabaseUnavailable at once, and
 * the engine is started again on the same folder until that works; the folder stays locked, the handle stays the same.
 * Disposal writes a checkpoint and releases the folder; it takes seconds at most.
 * @throws DirectoryInUse when another server has it
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const lock = lockDirectory(options.dataDir, options.clock)
  let engine: Supervisor | undefined
  try {
    engine = await superviseEngine({
      directory: join(options.dataDir, 'database'),
      clock: options.clock,
      hungAfterMs: options.hungAfterMs ?? dbLimits.embeddedHungMs,
      prepare: (started, isFirst) => prepareEngine(started, isFirst, options),
      onEvent: options.onEvent ?? ignore,
      onFatal: options.onFatal ?? ignore,
    })
    const db = await openPostgres({
      url: urlOf(LOGIN_ROLE),
      poolSize: 1,
      lanes: 0,
      tenantProof: options.tenantProof,
      stream: engine.connect,
    })
    return { ...db, ...controls(engine), [Symbol.asyncDispose]: () => shutDown(db, engine!, lock) }
  } catch (error) {
    await engine?.stop()
    lock[Symbol.dispose]()
    throw error
  }
}

/** What another life has migrated stays so; the superuser's session has to be given up in each. */
async function prepareEngine(engine: Engine, isFirst: boolean, options: EmbeddedOptions): Promise<void> {
  if (isFirst) await migrateEngine(engine, options)
  await engine.request({ op: 'lock-down', role: LOGIN_ROLE })
}

function controls(engine: Supervisor): Pick<Embedded, 'ownerQuery' | 'syncCount'> {
  return {
    ownerQuery: async (sql, values = []) =>
      (await engine.request({ op: 'owner-query', sql, values: [...values] })) as readonly Record<string, unknown>[],
    syncCount: engine.syncCount,
  }
}

async function shutDown(db: Postgres, engine: Supervisor, lock: Disposable): Promise<void> {
  await db[Symbol.asyncDispose]()
  // A thread that may still write keeps the folder locked until the process is gone.
  if ((await engine.stop()) === 'ended') lock[Symbol.dispose]()
}

function urlOf(role: string): string {
  return `postgres://${role}@embedded/postgres`
}

async function migrateEngine(engine: Engine, { contextKey, migrations }: EmbeddedOptions): Promise<void> {
  const client = new pg.Client({ connectionString: urlOf('postgres'), stream: () => engine.connect() })
  await client.connect()
  try {
    await migrate({ client, contextKey, loginRole: LOGIN_ROLE, ...(migrations === undefined ? {} : { migrations }) })
  } finally {
    await client.end()
  }
}

function ignore(): void {}
