/** One life of the embedded engine: a worker thread, from its start to its end, however that comes. */

import assert from 'node:assert'
import { setTimeout as delay } from 'node:timers/promises'
import { Duplex } from 'node:stream'
import { MessageChannel, Worker } from 'node:worker_threads'
import { dbLimits } from '../limits/db-limits.ts'
import { BEATS } from './embedded-signs.ts'
import type { EmbeddedReply, EmbeddedRequest, EmbeddedWorkerData } from './embedded-worker.ts'
import { engineModule } from './engine-module.ts'
import { DatabaseUnavailable } from './errors.ts'
import { PortStream } from './port-stream.ts'

export type EngineCall = Call<EmbeddedRequest>
type Call<Request> = Request extends { readonly id: number } ? Omit<Request, 'id'> : never

export interface Engine {
  /** A connection; it replaces the one before. */
  connect(): Duplex
  /** @throws DatabaseUnavailable when the engine ends before it answers */
  request(call: EngineCall): Promise<unknown>
  /** Resolves when the thread is gone, whoever ended it: only then may another one touch the folder. */
  readonly ended: Promise<void>
  /**
   * Writes a checkpoint and ends the thread. An engine that does not answer in time is cut off: the next start then
   * recovers, as after a crash.
   * @returns `stuck` when not even the thread has ended: it may still write, so the folder must not be given to another
   */
  stop(): Promise<'checkpointed' | 'cut' | 'stuck'>
}

/**
 * Resolves when the engine has recovered what is in its folder and takes calls. That may take as long as there is to
 * recover, so nothing but `signal` ends the wait.
 * @param hungAfterMs  a single call into the engine that lasts longer ends it
 * @throws Error when it cannot start; its thread is gone by then
 */
export async function startEngine(
  data: Omit<EmbeddedWorkerData, 'module'>,
  signal: AbortSignal,
  hungAfterMs: number,
): Promise<Engine> {
  const workerData: EmbeddedWorkerData = { ...data, module: await engineModule() }
  const worker = new Worker(new URL('./embedded-worker.ts', import.meta.url), { workerData, name: 'sotto-database' })
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  const streams = new Set<PortStream>()
  const ended = Promise.withResolvers<void>()
  let lastId = 0
  let cause: Error | undefined

  function expect(id: number): Promise<unknown> {
    const answer = Promise.withResolvers<unknown>()
    waiting.set(id, answer)
    return answer.promise
  }
  async function request(call: EngineCall): Promise<unknown> {
    if (cause !== undefined) throw cause
    const id = ++lastId
    worker.postMessage({ ...call, id })
    return expect(id)
  }
  /** Whoever waits is told at once: nobody learns from a thread that is gone that it will not answer. */
  function fail(error: Error): void {
    cause ??= error
    for (const answer of waiting.values()) answer.reject(cause)
    waiting.clear()
    for (const stream of streams) stream.destroy()
    streams.clear()
  }
  worker.on('message', ({ id, result, error }: EmbeddedReply) => {
    const answer = waiting.get(id)
    assert(answer !== undefined)
    waiting.delete(id)
    if (error === undefined) answer.resolve(result)
    else answer.reject(Object.assign(new Error(error.message), error))
  })
  worker.on('error', (error) => fail(unavailable(error)))
  worker.on('exit', () => {
    fail(unavailable())
    ended.resolve()
  })

  const cut = (): void => void worker.terminate()
  /** Ends an engine that is lost in one call: by then everybody has long stopped waiting for it. */
  function watchBeats(): void {
    let [lastBeat, silentMs] = [-1, 0]
    const timer = setInterval(() => {
      const beat = Atomics.load(workerData.signs, BEATS)
      silentMs = beat === lastBeat ? silentMs + dbLimits.embeddedBeatMs : 0
      lastBeat = beat
      if (silentMs >= hungAfterMs) cut()
    }, dbLimits.embeddedBeatMs)
    timer.unref()
    void ended.promise.then(() => clearInterval(timer))
  }
  signal.addEventListener('abort', cut, { once: true })
  try {
    if (signal.aborted) cut()
    await expect(0)
  } catch (error) {
    await ended.promise
    throw error
  } finally {
    signal.removeEventListener('abort', cut)
  }
  watchBeats()
  return {
    connect() {
      // Nobody would ever close a port that was sent to a thread that is gone.
      if (cause !== undefined) return new ClosedStream()
      const { port1, port2 } = new MessageChannel()
      const stream = new PortStream(port1)
      streams.add(stream)
      stream.once('close', () => streams.delete(stream))
      worker.postMessage({ op: 'connect', port: port2 } satisfies EmbeddedRequest, [port2])
      return stream
    },
    request,
    ended: ended.promise,
    async stop() {
      const closed = request({ op: 'close' }).then(
        () => true,
        () => false,
      )
      const isClosed = await Promise.race([closed, within(dbLimits.embeddedCloseMs, false)])
      void worker.terminate()
      const hasEnded = await Promise.race([ended.promise.then(() => true), within(dbLimits.embeddedCloseMs, false)])
      if (!hasEnded) return 'stuck'
      return isClosed ? 'checkpointed' : 'cut'
    },
  }
}

/** The socket to a database that is down: it fails when `pg` connects it. */
export class ClosedStream extends Duplex {
  connect(): void {
    this.destroy(Object.assign(new Error('The embedded database is down'), { code: 'engine-down' }))
  }
  setNoDelay(): void {}
  setKeepAlive(): void {}
  ref(): void {}
  unref(): void {}
  override _read(): void {}
}

/** Keeps the reason for the log; to those who wait all ends are one. */
function unavailable(cause?: Error): DatabaseUnavailable {
  const { code } = (cause ?? {}) as { readonly code?: unknown }
  const error = new DatabaseUnavailable('unknown', typeof code === 'string' ? code : 'engine-ended')
  return cause === undefined ? error : Object.assign(error, { cause })
}

/** Resolves with `value` after so long. It does not keep the process alive. */
export async function within<T>(ms: number, value: T): Promise<T> {
  return delay(ms, value, { ref: false })
}
