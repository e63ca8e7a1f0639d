import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, onTestFinished, test } from 'vitest'
import { copyEmbeddedTemplate, databaseKinds, openEmbeddedAt } from '../../../../../packages/testkit/src/databases.ts'
import { statement } from './tx.ts'

const clinic = randomUUID()
const asClinic = { role: 'app', tenantId: clinic } as const
const publish = statement(
  'test.publish',
  `insert into outbox (tenant_id, outbox_id, topic, key, payload) values ($1, $2, 'message.sent', $3, '{}')`,
)
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

  test('keeps what was committed over a clean stop', async () => {
    const dataDir = await folder()
    {
      await using db = await openEmbeddedAt(dataDir)
      await db.withTx(asClinic, (tx) => tx.run(publish, [clinic, randomUUID(), 'kept']))
    }
    await using db = await openEmbeddedAt(dataDir)
    expect(await db.ownerQuery(`select key from sotto.outbox`)).toEqual([{ key: 'kept' }])
  })

  test.each([1, 2, 3])('loses nothing that was acknowledged when it is killed, round %i', async (round) => {
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

  test('rejects what is under way and tells its owner when the engine dies', async () => {
    const dataDir = await folder()
    const died = Promise.withResolvers<Error>()
    const db = await openEmbeddedAt(dataDir, { onFatal: died.resolve })
    // The engine's control file is gone: the checkpoint cannot be written, which PostgreSQL answers with a PANIC.
    await rm(join(dataDir, 'database', 'global', 'pg_control'))
    const attempt = db.ownerQuery('checkpoint')
    await expect(attempt).rejects.toThrow()
    await died.promise
    await expect(db.ping()).rejects.toMatchObject({ name: 'DatabaseUnavailable' })
    await db[Symbol.asyncDispose]()
  })

  test('leaves nothing to connect to: no socket, no port, no file that others may read', async () => {
    const dataDir = await folder()
    await using db = await openEmbeddedAt(dataDir)
    await db.ping()
    expect(readdirSync(dataDir).toSorted()).toEqual(['database', 'lock', 'lock-holder.json'])
  })
})

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
