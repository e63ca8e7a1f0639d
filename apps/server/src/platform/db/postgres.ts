/** The database over the wire: PostgreSQL, or the embedded engine, which speaks the same protocol. */

import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { dbLimits } from '../limits/db-limits.ts'
import { Secret } from '../phi/phi.ts'
import type { ContextProof } from './context-proof.ts'
import { assertTrustworthy, traitsOfDatabase, type DatabaseTraits } from './assert-trustworthy.ts'
import { classify, DatabaseUnavailable, StatementFailed, UnsafeDatabase } from './errors.ts'
import { attempt, isUsable, type Entry } from './transaction.ts'
import type { Db, Lane, LaneTx } from './tx.ts'
import { wireTypes } from './wire-types.ts'

export interface PostgresOptions {
  /** `postgres://login@host:port/database`; the login role is one that may do nothing by itself */
  readonly url: Secret<string> | string
  /** Connections for ordinary transactions. */
  readonly poolSize: number
  /** Connections for group commit, one per lane. 0: one lane, which shares the pool (embedded). */
  readonly lanes: number
  readonly tenantProof: ContextProof
  /** Told of every connection that was lost or could not be made. */
  readonly onConnectionError?: (code: string) => void
  /** Another way to the server than TCP or a Unix socket. */
  readonly stream?: () => Duplex
}

export interface Postgres extends Db, AsyncDisposable {
  /** Resolves when the database answers. @throws DatabaseUnavailable */
  ping(): Promise<void>
}

/**
 * Opens the database. A lost connection is replaced when the next transaction needs one, so the server recovers by
 * itself when the database comes back.
 *
 * Durability: `withTx` resolves after COMMIT was answered. Retries: conflicts only, at most `dbLimits.attemptsMax`.
 * @throws DatabaseUnavailable when it cannot be reached, UnsafeDatabase when it is not to be trusted
 */
export async function openPostgres(options: PostgresOptions): Promise<Postgres> {
  const pool = createPool(options, { ...ordinary, max: options.poolSize })
  const lanePools = Array.from({ length: options.lanes }, () => createPool(options, ofLane))
  const lanes: Lane[] = (lanePools.length === 0 ? [pool] : lanePools).map((lanePool) => ({
    withTx: (fn) => withRetry(lanePool, options.tenantProof, { role: 'app', tenantId: undefined }, fn),
  }))
  const db: Postgres = {
    withTx: (scope, fn) => withRetry(pool, options.tenantProof, scope, fn),
    lane: (index) => lanes[index % lanes.length]!,
    lanes: lanes.length,
    ping: () => onConnection(pool, ping),
    async [Symbol.asyncDispose]() {
      const open = [pool, ...lanePools].filter((each) => !each.ending)
      await Promise.all(open.map((each) => each.end()))
    },
  }
  try {
    await onConnection(pool, ping)
  } catch (error) {
    await db[Symbol.asyncDispose]()
    throw error
  }
  return db
}

// The embedded engine has one session for ever, so a new connection may meet the statements that an old one prepared.
// Compiling a statement pays for reports over millions of rows; here each touches a few, thousands of times a second.
const sessionSetUp = (
  lockTimeoutMs: number,
): string => `deallocate all; set timezone = 'UTC'; set datestyle = 'ISO'; set intervalstyle = 'iso_8601';
  set bytea_output = 'hex'; set jit = off; set statement_timeout = ${dbLimits.statementTimeoutMs};
  set lock_timeout = ${lockTimeoutMs};
  set idle_in_transaction_session_timeout = ${dbLimits.idleInTransactionTimeoutMs}; ${traitsOfDatabase}`

interface PoolUse {
  readonly max: number
  /** How long a caller waits for a connection: one that is made, or one that another has. */
  readonly patienceMs: number
  readonly lockTimeoutMs: number
}

const ordinary = { patienceMs: dbLimits.acquireTimeoutMs, lockTimeoutMs: dbLimits.lockTimeoutMs }
/**
 * A lane has one connection, which sends, cursors and deliveries share: who waits for a row in it holds up everyone behind,
 * and who waits for the connection for too long is told to come back.
 */
const ofLane: PoolUse = { max: 1, patienceMs: dbLimits.connectTimeoutMs, lockTimeoutMs: dbLimits.laneLockTimeoutMs }

function createPool(options: PostgresOptions, use: PoolUse): pg.Pool {
  const url = options.url instanceof Secret ? options.url.reveal() : options.url
  const pool = new pg.Pool({
    connectionString: url,
    max: use.max,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: use.patienceMs,
    query_timeout: dbLimits.answerTimeoutMs,
    keepAlive: true,
    pipeline: true,
    application_name: 'sotto',
    types: wireTypes,
    ...(options.stream === undefined ? {} : { stream: options.stream }),
    onConnect: async (client) => {
      // A connection that dies while a transaction holds it reports that twice: to the transaction, and here.
      client.on('error', (error) => options.onConnectionError?.(codeOf(error)))
      const answers = (await client.query(
        sessionSetUp(use.lockTimeoutMs),
      )) as unknown as pg.QueryResult<DatabaseTraits>[]
      assertTrustworthy(answers.at(-1)!.rows[0]!)
    },
  })
  // The pool repeats what its idle connections report; it has been heard above.
  pool.on('error', () => {})
  return pool
}

function codeOf(error: Error): string {
  return classify(error, 'tx.connect') instanceof DatabaseUnavailable
    ? ((error as { code?: string }).code ?? 'closed')
    : 'refused'
}

async function withRetry<T>(
  pool: pg.Pool,
  prove: ContextProof,
  entry: Entry,
  fn: (tx: LaneTx) => Promise<T>,
): Promise<T> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await onConnection(pool, (client) => attempt(client, prove, entry, fn))
    } catch (error) {
      if (!(error instanceof StatementFailed && error.isConflict)) throw error
      // Losing five times in a row says that the database is too busy for this, not that the request is wrong.
      if (attempts === dbLimits.attemptsMax) throw new DatabaseUnavailable('not-applied', error.sqlState, true)
    }
    await delay(dbLimits.retryDelayMs * 2 ** (attempts - 1))
  }
}

async function onConnection<T>(pool: pg.Pool, use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  let client: pg.PoolClient
  try {
    client = await pool.connect()
  } catch (error) {
    throw error instanceof UnsafeDatabase ? error : new DatabaseUnavailable('not-applied', codeOf(error as Error))
  }
  try {
    const result = await use(client)
    client.release()
    return result
  } catch (error) {
    client.release(!isUsable(client))
    throw error
  }
}

async function ping(client: pg.ClientBase): Promise<void> {
  try {
    await client.query('select 1')
  } catch (error) {
    throw classify(error, 'tx.ping')
  }
}
