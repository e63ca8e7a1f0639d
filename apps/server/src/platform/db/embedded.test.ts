import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, onTestFinished, test } from 'vitest'
import { copyEmbeddedTemplate, databaseKinds, openEmbeddedAt } from '../../../../../packages/testkit/src/databases.ts'
import type { EngineEvent } from './embedded-supervisor.ts'
import { statement } from './tx.ts'

const clinic = randomUUID()
const asClinic = { role: 'app', tenantId: clinic } as const
const publish = statement(
  'test.publish',
  `insert into outbox (tenant_id, outbox_id, topic, key, payload) values ($1, $2, 'message.sent', $3, '{}')`,
)
/** Under load, with the whole server: test/faults/kill-server.test.ts. */
const ROUNDS = process.env['SOTTO_TEST_LONG'] === '1' ? [1, 2, 3] : [2]
const writer = new URL('./embedded-writer.fixture.ts', import.meta.url)

async function folder(): Promise<string> {
  const dataDir = await copyEmbeddedTemplate()
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  return dataDir
}

describe.runIf(databaseKinds.includes('pglite'))('the embedded database', () => {
  test('tells the disk to keep each commit before it answers', async () => {
    await using db = await openEmbeddedAt(await folder())
    for (let round = 0; round < 10; round++) {
      const before = db.syncCount()
      await db.withTx(asClinic, (tx) => tx.run(publish, [clinic, randomUUID(), 'k']))
      expect(db.syncCount() - before).toBeGreaterThanOrEqual(1)
    }
    const before = db.syncCount()
    await db.withTx(asClinic, async (tx) => {
      for (let row = 0; row < 64; row++) void tx.run(publish, [clinic, randomUUID(), 'k'])
    })
    // One for the batch, and one more when the write-ahead log has just filled a segment.
    expect(db.syncCount() - before).toBeLessThanOrEqual(2)
  })

  test('does not sync for what changes nothing', async () => {
    await using db = await openEmbeddedAt(await folder())
    const before = db.syncCount()
    for (let round = 0; round < 10; round++) await db.ping()
    expect(db.syncCount()).toBe(before)
  })

  test('does not let its log grow while it serves, so that a killed one is back soon', async () => {
    const dataDir = await folder()
    await using db = await openEmbeddedAt(dataDir)
    const [before] = await db.ownerQuery('select redo_lsn::text from pg_control_checkpoint()')
    // What is committed after it makes it durable, as in a server that has been running for days.
    for (let megabyte = 0; megabyte < 96; megabyte++)
      await db.ownerQuery(`select pg_logical_emit_message(false, 'test', repeat('x', 1048576))`)
    await db.withTx(asClinic, (tx) => tx.run(publish, [clinic, randomUUID(), 'k']))
    const redo = async () => (await db.ownerQuery('select redo_lsn::text from pg_control_checkpoint()'))[0]
    await expect.poll(redo, { timeout: 60_000, interval: 250 }).not.toEqual(before)
    const files = readdirSync(join(dataDir, 'database', 'pg_wal')).filter((name) => /^[0-9A-F]{24}$/.test(name))
    // 16 MB each: the present one, and what was kept to be written over.
    expect(files.length).toBeLessThanOrEqual(5)
    expect(await db.withTx(asClinic, (tx) => tx.run(publish, [clinic, randomUUID(), 'k']))).toBe(1)
  })

  test('keeps what was committed over a clean stop', async () => {
    const dataDir = await folder()
    {
      await using db = await openEmbeddedAt(dataDir)
      await db.withTx(asClinic, (tx) => tx.run(publish, [clinic, randomUUID(), 'kept']))
    }
    await using db = await openEmbeddedAt(dataDir)
    expect(await db.ownerQuery(`select key from sotto.outbox`)).toEqual([{ key: 'kept' }])
  })

  test.each(ROUNDS)('loses nothing that was acknowledged when it is killed, round %i', async (round) => {
    const dataDir = await folder()
    const acknowledged = await writeUntilKilled(dataDir, 40 * round)
    await using db = await openEmbeddedAt(dataDir)
    const rows = await db.ownerQuery(`select key::int as number from sotto.outbox order by 1`)
    const numbers = rows.map((row) => row['number'])
    // No gaps: the numbers are 1 … n. One batch may have been committed without its answer getting out.
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, index) => index + 1))
    expect(numbers.length).toBeGreaterThanOrEqual(acknowledged)
  })

  test('refuses a second server on its folder and says who has it, and is free at once when that one is killed', async () => {
    const dataDir = await folder()
    const first = startWriter(dataDir)
    await once(createInterface({ input: first.stdout! }), 'line')
    const error: unknown = await openEmbeddedAt(dataDir).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'DirectoryInUse', holderPid: first.pid })
    expect(String(error)).toContain(dataDir)
    first.kill('SIGKILL')
    await once(first, 'exit')
    await using db = await openEmbeddedAt(dataDir)
    await db.ping()
  })

  test('refuses a second opening by the same process', async () => {
    const dataDir = await folder()
    await using db = await openEmbeddedAt(dataDir)
    await expect(openEmbeddedAt(dataDir)).rejects.toMatchObject({ name: 'DirectoryInUse', holderPid: process.pid })
    // The refused attempt must not have broken the lock of the first.
    await expect(openEmbeddedAt(dataDir)).rejects.toMatchObject({ name: 'DirectoryInUse' })
    await db.ping()
  })

  // Making a cluster costs seconds of computing, and far more on a busy machine.
  test(
    'makes a first start anew that was interrupted before its files were on disk',
    { timeout: 120_000 },
    async () => {
      const dataDir = await folder()
      const database = join(dataDir, 'database')
      await rm(join(database, 'global'), { recursive: true })
      await writeFile(`${database}.incomplete`, '')
      await using db = await openEmbeddedAt(dataDir)
      await db.withTx(asClinic, (tx) => tx.run(publish, [clinic, randomUUID(), 'k']))
      expect(existsSync(`${database}.incomplete`)).toBe(false)
    },
  )

  test(
    'fails what waits and what comes when the engine dies, and is back by itself when the fault ends',
    { timeout: 120_000 },
    async () => {
      const dataDir = await folder()
      const events = watchEvents()
      await using db = await openEmbeddedAt(dataDir, { onEvent: events.add, onFatal: neverFatal })
      await db.withTx(asClinic, (tx) => tx.run(publish, [clinic, randomUUID(), 'before']))
      const mend = await breakEngine(dataDir)
      const blow = db.ownerQuery('checkpoint')
      const waiting = Promise.allSettled(
        Array.from({ length: 20 }, () =>
          db.withTx(asClinic, (tx) => tx.run(publish, [clinic, randomUUID(), 'during'])),
        ),
      )
      await expect(blow).rejects.toMatchObject({ name: 'DatabaseUnavailable' })
      // On a quick disk one or another is through before the blow falls: then it stays.
      const done = (await waiting).filter(({ status }) => status === 'fulfilled').length
      const failed = (await waiting).filter((one) => one.status === 'rejected')
      expect(failed.length).toBeGreaterThan(0)
      for (const one of failed) expect(one.reason).toMatchObject({ name: 'DatabaseUnavailable' })
      // The engine cannot come back yet: nobody waits for it.
      await events.next((event) => event.kind === 'unavailable' && event.attempt === 2)
      await expect(db.ping()).rejects.toMatchObject({ name: 'DatabaseUnavailable', code: 'engine-down' })
      await expect(db.ownerQuery('select 1')).rejects.toMatchObject({ name: 'DatabaseUnavailable' })
      await expect(openEmbeddedAt(dataDir)).rejects.toMatchObject({ name: 'DirectoryInUse' })
      await mend()
      await events.next((event) => event.kind === 'recovered')
      await db.withTx(asClinic, (tx) => tx.run(publish, [clinic, randomUUID(), 'after']))
      const keys = (await db.ownerQuery('select key from sotto.outbox')).map((row) => String(row['key']))
      expect(keys.filter((key) => key !== 'during').toSorted()).toEqual(['after', 'before'])
      expect(keys.filter((key) => key === 'during').length).toBeGreaterThanOrEqual(done)
    },
  )

  test('gives up every right of its superuser again after each death', { timeout: 120_000 }, async () => {
    const dataDir = await folder()
    const events = watchEvents()
    await using db = await openEmbeddedAt(dataDir, { onEvent: events.add, onFatal: neverFatal })
    const mend = await breakEngine(dataDir)
    await db.ownerQuery('checkpoint').catch(() => undefined)
    await mend()
    await events.next((event) => event.kind === 'recovered')
    const escape = statement('test.escape', 'set session authorization postgres')
    await expect(db.withTx(asClinic, (tx) => tx.run(escape))).rejects.toMatchObject({ sqlState: '42501' })
  })

  test(
    'never fills a folder anew whose database has gone, and tells its owner that it is hopeless',
    { timeout: 120_000 },
    async () => {
      const dataDir = await folder()
      const fatal = Promise.withResolvers<Error>()
      await using db = await openEmbeddedAt(dataDir, { onFatal: fatal.resolve })
      await breakEngine(dataDir)
      await db.ownerQuery('checkpoint').catch(() => undefined)
      await rename(join(dataDir, 'database'), join(dataDir, 'elsewhere'))
      expect(await fatal.promise).toMatchObject({ name: 'DatabaseUnavailable', code: 'database-folder-gone' })
      await expect(db.ping()).rejects.toMatchObject({ name: 'DatabaseUnavailable' })
      expect(existsSync(join(dataDir, 'database'))).toBe(false)
    },
  )

  test('ends an engine that is lost in one call, and starts it again', { timeout: 120_000 }, async () => {
    const events = watchEvents()
    await using db = await openEmbeddedAt(await folder(), { onEvent: events.add, hungAfterMs: 5_000 })
    const endless = db.ownerQuery('do $$ begin loop end loop; end $$')
    await expect(endless).rejects.toMatchObject({ name: 'DatabaseUnavailable' })
    await events.next((event) => event.kind === 'recovered')
    await db.withTx(asClinic, (tx) => tx.run(publish, [clinic, randomUUID(), 'k']))
  })

  test('stops within seconds when the engine is dead, and when it does not listen', { timeout: 120_000 }, async () => {
    const dataDir = await folder()
    {
      await using db = await openEmbeddedAt(dataDir, { onFatal: neverFatal })
      const mend = await breakEngine(dataDir)
      await db.ownerQuery('checkpoint').catch(() => undefined)
      onTestFinished(mend)
      await db[Symbol.asyncDispose]()
      await mend()
    }
    const events = watchEvents()
    const db = await openEmbeddedAt(dataDir, { onEvent: events.add })
    const endless = db.ownerQuery('do $$ begin loop end loop; end $$')
    endless.catch(() => undefined)
    await db[Symbol.asyncDispose]()
    await expect(endless).rejects.toMatchObject({ name: 'DatabaseUnavailable' })
    expect(events.all).toEqual([{ kind: 'not-checkpointed' }])
    await using again = await openEmbeddedAt(dataDir)
    await again.ping()
  })

  test('leaves nothing to connect to: no socket, no port, no file that others may read', async () => {
    const dataDir = await folder()
    await using db = await openEmbeddedAt(dataDir)
    await db.ping()
    expect(readdirSync(dataDir).toSorted()).toEqual(['database', 'lock', 'lock-holder.json'])
  })
})

/** Without its control file the engine can write no checkpoint, which it answers with a PANIC, and start no more. */
async function breakEngine(dataDir: string): Promise<() => Promise<void>> {
  const file = join(dataDir, 'database', 'global', 'pg_control')
  const away = join(dataDir, 'pg_control')
  await rename(file, away)
  return async () => void (existsSync(away) && (await rename(away, file)))
}

function neverFatal(error: Error): never {
  throw error
}

interface Events {
  readonly all: readonly EngineEvent[]
  readonly add: (event: EngineEvent) => void
  /** Resolves when there is, or has been, one that fits. */
  next(fits: (event: EngineEvent) => boolean): Promise<void>
}

function watchEvents(): Events {
  const all: EngineEvent[] = []
  const listeners = new Set<() => void>()
  return {
    all,
    add(event) {
      all.push(event)
      for (const listener of listeners) listener()
    },
    next: (fits) =>
      new Promise((resolve) => {
        const look = () => {
          if (all.some(fits)) resolve()
        }
        listeners.add(look)
        look()
      }),
  }
}

function startWriter(dataDir: string): ChildProcess {
  return spawn(process.execPath, [writer.pathname, dataDir, clinic], { stdio: ['ignore', 'pipe', 'inherit'] })
}

/** @returns how many rows the writer said were committed */
async function writeUntilKilled(dataDir: string, batches: number): Promise<number> {
  const child = startWriter(dataDir)
  const exit = once(child, 'exit')
  let acknowledged = 0
  let lines = 0
  for await (const line of createInterface({ input: child.stdout! })) {
    acknowledged = Number(line)
    if (++lines === batches) child.kill('SIGKILL')
  }
  await exit
  return acknowledged
}
