/**
 * The embedded engine, in a worker thread of its own so that queries do not stop the event loop of the server.
 *
 * | state     | entered by  | the session is                                    |
 * | --------- | ----------- | ------------------------------------------------- |
 * | migrating | start       | the superuser `postgres`                          |
 * | serving   | `lock-down` | the login role, without a way back (see lockDown) |
 * | closed    | `close`     | checkpointed                                      |
 *
 * The engine has one session, so there is one connection at a time, and the queries of the owner wait for the gap
 * between two transactions. An exception out of the engine (a PANIC, an abort) ends the thread on the spot: what is in
 * memory cannot be trusted, and a further call waits for ever for a lock that the dead one held; what is on disk is
 * recovered at the next start (`embedded-supervisor.ts`).
 */

import { PGlite } from '@electric-sql/pglite'
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { dbLimits } from '../limits/db-limits.ts'
import { DurableNodeFS } from './durable-node-fs.ts'
import { BEATS, SYNCS } from './embedded-signs.ts'
import { createLogKeeper } from './engine-log.ts'
import type { EngineModule } from './engine-module.ts'
import { startParams } from './engine-parameters.ts'
import { createEngineSession } from './engine-session.ts'
import { prepareFirstStart } from './first-start.ts'
import { createFraming } from './wire-framing.ts'

export interface EmbeddedWorkerData {
  readonly directory: string
  /** Only at the start of the process: the folder of a database that has served is never filled anew. */
  readonly mayCreate: boolean
  /** What the thread shows without being asked: see SYNCS and BEATS. */
  readonly signs: Int32Array<SharedArrayBuffer>
  /** The engine's code. */
  readonly module: EngineModule
}

export type EmbeddedRequest =
  | { readonly op: 'connect'; readonly port: MessagePort }
  | { readonly op: 'lock-down'; readonly id: number; readonly role: string }
  | { readonly op: 'owner-query'; readonly id: number; readonly sql: string; readonly values: unknown[] }
  | { readonly op: 'close'; readonly id: number }

export interface EmbeddedReply {
  readonly id: number
  readonly result?: unknown
  readonly error?: { readonly message: string; readonly code?: string }
}

const { directory, mayCreate, signs, module } = workerData as EmbeddedWorkerData
const parent = parentPort!

const firstStart = await prepareFirstStart(directory, mayCreate)
const fs = new DurableNodeFS(
  directory,
  () => void Atomics.add(signs, SYNCS, 1),
  // In a thread this ends the thread, in the middle of the engine's last call. PGlite would swallow an exception.
  () => process.exit(1),
)
const engine = await PGlite.create({ fs, startParams: [...startParams], pgliteWasmModule: module })
await firstStart?.finish()
const session = createEngineSession(engine)
const keepLogShort = createLogKeeper(engine, session, () => Atomics.load(signs, SYNCS))
setInterval(() => void Atomics.add(signs, BEATS, 1), dbLimits.embeddedBeatMs).unref()
const looking = setInterval(() => asOwner(keepLogShort), dbLimits.embeddedLogLookMs).unref()

let isLocked = false
let connected: MessagePort | undefined
/** Everything that touches the engine goes through this chain, one after the other. */
let turn: Promise<unknown> = Promise.resolve()
const ownersWaiting: (() => Promise<void>)[] = []

function inTurn(work: () => Promise<void>): void {
  turn = turn.then(work).then(serveOwners)
  // An exception here is the engine's death; without this handler it would be an unhandled rejection all the same, but
  // the thread must end with it.
  turn.catch((error: unknown) => {
    throw error
  })
}

async function serveOwners(): Promise<void> {
  while (ownersWaiting.length > 0 && !engine.isInTransaction()) await ownersWaiting.shift()!()
}

function connect(port: MessagePort): void {
  const framing = createFraming()
  connected?.close()
  connected = port
  // A connection that broke off leaves its transaction behind.
  inTurn(async () => {
    if (engine.isInTransaction()) await engine.exec('rollback')
  })
  port.on('message', (chunk: Uint8Array) => {
    for (const messages of framing.push(chunk)) inTurn(() => answer(port, messages))
  })
}

async function answer(port: MessagePort, messages: Uint8Array): Promise<void> {
  // A newer connection has taken over; what the old one still sent is lost with it.
  if (connected !== port) return
  const chunks: Uint8Array[] = []
  // The bytes are a view of the engine's memory, valid during the call only.
  await engine.execProtocolRawStream(messages, { onRawData: (bytes) => void chunks.push(bytes.slice()) })
  if (chunks.length === 0) return
  const bytes = chunks.length === 1 ? chunks[0]! : new Uint8Array(Buffer.concat(chunks))
  port.postMessage(bytes, [bytes.buffer as ArrayBuffer])
}

async function ownerQuery(sql: string, values: unknown[]): Promise<unknown> {
  return session.asSuperuser(async () => {
    if (values.length > 0) return (await engine.query(sql, values)).rows
    return (await engine.exec(sql)).at(-1)?.rows ?? []
  })
}

/** In the next gap between two transactions. */
function asOwner(work: () => Promise<void>): void {
  ownersWaiting.push(work)
  inTurn(async () => {})
}

function reply(id: number, work: () => Promise<unknown>): void {
  asOwner(async () => {
    try {
      parent.postMessage({ id, result: await work() } satisfies EmbeddedReply)
    } catch (error) {
      const { message, code } = error as Error & { code?: string }
      parent.postMessage({ id, error: { message, ...(code === undefined ? {} : { code }) } } satisfies EmbeddedReply)
    }
  })
}

parent.on('message', (request: EmbeddedRequest) => {
  if (request.op === 'connect') return connect(request.port)
  if (request.op === 'lock-down') {
    return reply(request.id, async () => {
      if (!isLocked) await session.lockDown(request.role)
      isLocked = true
    })
  }
  if (request.op === 'owner-query') return reply(request.id, () => ownerQuery(request.sql, request.values))
  connected?.close()
  connected = undefined
  clearInterval(looking)
  // Whoever still waits for a gap is told by the thread's end.
  ownersWaiting.length = 0
  inTurn(async () => {
    if (engine.isInTransaction()) await engine.exec('rollback')
    // Closing writes a checkpoint, so the next start has nothing to recover.
    await engine.close()
    parent.postMessage({ id: request.id } satisfies EmbeddedReply)
  })
})

parent.postMessage({ id: 0 } satisfies EmbeddedReply)
