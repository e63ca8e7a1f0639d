import { createHash } from 'node:crypto'
import { mkdir, open, readFile, rename, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { applyBatch, listRecords } from './memory-storage.ts'
import type { Storage, Store, Write } from './storage.port.ts'

export interface FileStorageOptions {
  /** A folder of this process alone; made with mode 0700 when it is not there. */
  readonly directory: string
}

/**
 * Keeps records in a folder: one append-only log per namespace, one batch per line, each line synced before its `write`
 * resolves. Opening reads the log, drops a torn last line (a batch that was cut by a crash was never promised) and
 * rewrites the rest in one atomic rename. A second process on the same namespace is refused. Needs Node 22.13 or later.
 *
 * Messages that wait are in it as they are: put the folder on an encrypted disk.
 */
export function fileStorage({ directory }: FileStorageOptions): Storage {
  return {
    shared: false,
    protectsAtRest: false,
    async open(namespace) {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      // A namespace holds a URL and a user's id; a file name shows neither.
      const name = createHash('sha256').update(namespace).digest('hex').slice(0, 32)
      const path = join(directory, `${name}.log`)
      const unlock = await lock(join(directory, `${name}.lock`))
      try {
        return await openLog(path, directory, unlock)
      } catch (error) {
        unlock()
        throw error
      }
    },
  }
}

async function openLog(path: string, directory: string, unlock: () => void): Promise<Store> {
  const records = await readLog(path)
  let log = await compact(path, directory, records)
  let tail: Promise<unknown> = Promise.resolve()
  let broken = false

  /** One change after another, so that lines never mix. */
  function inOrder<T>(run: () => Promise<T>): Promise<T> {
    const done = tail.then(run)
    tail = done.catch(() => {})
    return done
  }

  async function rewrite(): Promise<void> {
    await log.close()
    log = await compact(path, directory, records)
    broken = false
  }

  return {
    get: async (key) => structuredClone(records.get(key)),
    list: async (prefix) => listRecords(records, prefix),
    write: (batch) =>
      inOrder(async () => {
        // After a failed append the end of the file is unknown: it is written anew from what was promised.
        if (broken) await rewrite()
        broken = true
        await log.appendFile(renderLine(batch))
        await log.datasync()
        broken = false
        applyBatch(records, structuredClone(batch))
      }),
    clear: () =>
      inOrder(async () => {
        records.clear()
        await rewrite()
      }),
    close: () =>
      inOrder(async () => {
        await log.close()
        unlock()
      }),
  }
}

/** `checksum json`: a line that was cut or mixed up does not fit its checksum. */
function renderLine(batch: readonly Write[]): string {
  const json = JSON.stringify(batch.map(({ key, value }) => (value === undefined ? [key] : [key, value])))
  return `${checksum(json)} ${json}\n`
}

function checksum(json: string): string {
  return createHash('sha256').update(json).digest('hex').slice(0, 16)
}

async function readLog(path: string): Promise<Map<string, unknown>> {
  const records = new Map<string, unknown>()
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  for (const line of text.split('\n')) {
    const json = line.slice(17)
    if (line.length < 19 || checksum(json) !== line.slice(0, 16)) break
    const batch = JSON.parse(json) as (readonly [string, unknown?])[]
    applyBatch(
      records,
      batch.map(([key, value]) => ({ key, value })),
    )
  }
  return records
}

async function compact(path: string, directory: string, records: ReadonlyMap<string, unknown>): Promise<FileHandle> {
  const fresh = `${path}.new`
  const file = await open(fresh, 'w', 0o600)
  try {
    if (records.size > 0) await file.writeFile(renderLine([...records].map(([key, value]) => ({ key, value }))))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(fresh, path)
  await syncDirectory(directory)
  return await open(path, 'a', 0o600)
}

/** A rename is durable when its folder is synced. Windows cannot open folders, and needs no such step. */
async function syncDirectory(directory: string): Promise<void> {
  const folder = await open(directory, 'r').catch(() => undefined)
  if (folder === undefined) return
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/**
 * An operating system's lock (fcntl, or LockFileEx on Windows), taken by SQLite on a file that stays empty. It ends with
 * the process however it dies, holds between containers that share the folder although their process ids are the same,
 * and refuses the same process twice. The file is never removed: removing is what two starts at once would race on. On a
 * network file system the lock is as good as that system's.
 */
async function lock(path: string): Promise<() => void> {
  const { DatabaseSync } = await import('node:sqlite')
  const file = new DatabaseSync(path, { timeout: 0 })
  try {
    file.exec('pragma journal_mode = memory; begin exclusive')
  } catch (error) {
    file.close()
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) throw error
    throw new Error(`another process, or this one, uses this storage already: ${path}`, { cause: error })
  }
  return () => file.close()
}

/** https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5
