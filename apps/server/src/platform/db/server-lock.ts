import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { dbLimits } from '../limits/db-limits.ts'
import type { Secret } from '../phi/phi.ts'
import type { Clock } from '../time/clock.ts'

/** Another server works on this database; the message is for the operator. */
export class AnotherServerRuns extends Error {
  override readonly name = 'AnotherServerRuns'
  constructor() {
    super(
      'Another Sotto server works on this database, and several are not supported yet: they would not tell each other of ' +
        'new messages. Stop it first, or correct DATABASE_URL.',
    )
  }
}

export interface ServerLockOptions {
  readonly url: Secret<string>
  readonly clock: Clock
  /** How long one that is being stopped may take to let go (a restart that begins before the end of the drain). */
  readonly waitMsMax?: number
  /** Told, once, when the lock was lost with its connection and another server has it: this one must not go on. */
  readonly onLost: (error: AnotherServerRuns) => void
}

/** Any constant of our own; PostgreSQL keeps these locks apart by database. */
const lockKey = 7_363_841_200

/**
 * Takes the database for this server: an advisory lock that PostgreSQL keeps as long as a connection of its own lives, so a
 * server that was killed leaves nothing behind. A connection that is lost is made anew and the lock taken again, for as
 * long as it takes the database to come back. It needs a connection that is really its own: behind a pooler that lends
 * connections by the transaction it guards nothing.
 *
 * @throws AnotherServerRuns after `waitMsMax`, or what the database answers to a connection
 */
export async function takeServerLock(options: ServerLockOptions): Promise<AsyncDisposable> {
  const stopping = new AbortController()
  let client = await take(options, stopping.signal)
  const guarding = guard()

  async function guard(): Promise<void> {
    while (!stopping.signal.aborted) {
      await untilLost(client, stopping.signal)
      if (stopping.signal.aborted) return
      client = await takeAgain(options, stopping.signal)
    }
  }
  guarding.catch((error: unknown) => {
    if (error instanceof AnotherServerRuns && !stopping.signal.aborted) options.onLost(error)
  })

  return {
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await guarding.catch(() => undefined)
      await client.end().catch(() => undefined)
    },
  }
}

async function take({ url, clock, waitMsMax = dbLimits.otherServerMs }: ServerLockOptions, signal: AbortSignal) {
  const client = new pg.Client({
    connectionString: url.reveal(),
    application_name: 'sotto server lock',
    connectionTimeoutMillis: dbLimits.connectTimeoutMs,
    query_timeout: dbLimits.answerTimeoutMs,
    keepAlive: true,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    // A machine that vanished without a word is noticed by the database within half a minute, not within two hours.
    await client.query('set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3')
    const startedMs = clock.monotonicMs()
    while (!(await tryLock(client))) {
      if (clock.monotonicMs() - startedMs >= waitMsMax) throw new AnotherServerRuns()
      await delay(dbLimits.otherServerRetryMs, undefined, { signal })
    }
    return client
  } catch (error) {
    void client.end().catch(() => undefined)
    throw error
  }
}

async function tryLock(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ taken: boolean }>(`select pg_try_advisory_lock(${lockKey}) as taken`)
  return rows[0]!.taken
}

/** The database may be gone for as long as it likes: nobody else has it then, either. */
async function takeAgain(options: ServerLockOptions, signal: AbortSignal): Promise<pg.Client> {
  for (;;) {
    try {
      return await take(options, signal)
    } catch (error) {
      if (error instanceof AnotherServerRuns || signal.aborted) throw error
      await delay(dbLimits.otherServerRetryMs, undefined, { signal })
    }
  }
}

/** Resolves when the connection is gone, or does not answer, which only asking shows. */
async function untilLost(client: pg.Client, signal: AbortSignal): Promise<void> {
  const ended = new Promise<'ended'>((resolve) => client.once('end', () => resolve('ended')))
  for (;;) {
    const pause = delay(dbLimits.serverLockBeatMs, 'beat' as const, { signal, ref: false }).catch(
      () => 'stopped' as const,
    )
    if ((await Promise.race([ended, pause])) !== 'beat') return
    try {
      await client.query('select 1')
    } catch {
      void client.end().catch(() => undefined)
      return
    }
  }
}
