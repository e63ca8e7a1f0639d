/** The embedded database: PostgreSQL in a worker thread, on a folder that is ours alone. */

import assert from 'node:assert'
import type { KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { MessageChannel, Worker } from 'node:worker_threads'
import pg from 'pg'
import type { Clock } from '../time/clock.ts'
import type { ContextProof } from './context-proof.ts'
import { lockDirectory } from './directory-lock.ts'
import type { EmbeddedReply, EmbeddedRequest, EmbeddedWorkerData } from './embedded-worker.ts'
import { migrate, type Migration } from './migrate.ts'
import { PortStream } from './port-stream.ts'
import { openPostgres, type Postgres } from './postgres.ts'

export interface EmbeddedOptions {
  /** Sotto's data folder. The database is in `database/` of it; the lock is on the whole. */
  readonly dataDir: string
  readonly contextKey: KeyObject
  readonly tenantProof: ContextProof
  readonly clock: Clock
  /** The files to apply; all of `db/migrations` when not given. */
  readonly migrations?: readonly Migration[]
  /** The engine died. The process should end: a restart recovers what was committed. */
  readonly onFatal?: (error: Error) => void
}

export interface Embedded extends Postgres {
  /** Runs SQL as the superuser between two transactions: backup, maintenance, white-box tests. */
  ownerQuery(sql: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>
  /** How many times the disk was told to keep what it has (fsync, fdatasync), since the start. */
  syncCount(): number
}

const LOGIN_ROLE = 'sotto_login'

/**
 * Opens the folder, recovers it if the last server was killed, migrates it, and gives up every right but the login
 * role's. Disposal writes a checkpoint and releases the folder.
 * @throws DirectoryInUse when another server has it
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const lock = lockDirectory(options.dataDir, options.clock)
  let engine: Engine | undefined
  try {
    engine = await startEngine(join(options.dataDir, 'database'), options.onFatal)
    await migrateEngine(engine, options)
    await engine.request({ op: 'lock-down', role: LOGIN_ROLE })
    const stream = engine.connect
    const db = await openPostgres({
      url: urlOf(LOGIN_ROLE),
      poolSize: 1,
      lanes: 0,
      tenantProof: options.tenantProof,
      stream,
    })
    return { ...db, ...controls(engine), [Symbol.asyncDispose]: () => shutDown(db, engine!, lock) }
  } catch (error) {
    await engine?.stop()
    lock[Symbol.dispose]()
    throw error
  }
}

function controls(engine: Engine): Pick<Embedded, 'ownerQuery' | 'syncCount'> {
  return {
    ownerQuery: async (sql, values = []) =>
      (await engine.request({ op: 'owner-query', sql, values: [...values] })) as readonly Record<string, unknown>[],
    syncCount: engine.syncCount,
  }
}

async function shutDown(db: Postgres, engine: Engine, lock: Disposable): Promise<void> {
  await db[Symbol.asyncDispose]()
  await engine.stop()
  lock[Symbol.dispose]()
}

function urlOf(role: string): string {
  return `postgres://${role}@embedded/postgres`
}

async function migrateEngine(engine: Engine, { contextKey, migrations }: EmbeddedOptions): Promise<void> {
  const client = new pg.Client({ connectionString: urlOf('postgres'), stream: engine.connect })
  await client.connect()
  try {
    await migrate({ client, contextKey, loginRole: LOGIN_ROLE, ...(migrations === undefined ? {} : { migrations }) })
  } finally {
    await client.end()
  }
}

type Call<Request> = Request extends { readonly id: number } ? Omit<Request, 'id'> : never

interface Engine {
  /** A connection; it replaces the one before. */
  readonly connect: () => PortStream
  request(call: Call<EmbeddedRequest>): Promise<unknown>
  syncCount(): number
  stop(): Promise<void>
}

async function startEngine(directory: string, onFatal: EmbeddedOptions['onFatal']): Promise<Engine> {
  const syncs = new Int32Array(new SharedArrayBuffer(4))
  const workerData: EmbeddedWorkerData = { directory, syncs }
  const worker = new Worker(new URL('./embedded-worker.ts', import.meta.url), { workerData, name: 'sotto-database' })
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  let lastId = 0
  let isServing = false

  function expect(id: number): Promise<unknown> {
    const answer = Promise.withResolvers<unknown>()
    waiting.set(id, answer)
    return answer.promise
  }
  function request(call: Call<EmbeddedRequest>): Promise<unknown> {
    const id = ++lastId
    worker.postMessage({ ...call, id })
    return expect(id)
  }
  function fail(error: Error): void {
    for (const answer of waiting.values()) answer.reject(error)
    waiting.clear()
    if (isServing) onFatal?.(error)
    isServing = false
  }
  worker.on('message', ({ id, result, error }: EmbeddedReply) => {
    const answer = waiting.get(id)
    assert(answer !== undefined)
    waiting.delete(id)
    if (error === undefined) answer.resolve(result)
    else answer.reject(Object.assign(new Error(error.message), error))
  })
  worker.on('error', fail)
  worker.on('exit', (code) => fail(new Error(`The embedded database ended (${code})`)))
  await expect(0)
  isServing = true
  return {
    connect() {
      const { port1, port2 } = new MessageChannel()
      worker.postMessage({ op: 'connect', port: port2 } satisfies EmbeddedRequest, [port2])
      return new PortStream(port1)
    },
    request,
    syncCount: () => Atomics.load(syncs, 0),
    async stop() {
      if (isServing) {
        isServing = false
        await request({ op: 'close' }).catch(() => {})
      }
      await worker.terminate()
    },
  }
}
