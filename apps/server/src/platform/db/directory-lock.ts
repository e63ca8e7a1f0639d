/**
 * One server per data folder. The embedded engine takes no lock of its own (electric-sql/pglite#1106): two servers on
 * one folder would silently destroy each other's rows.
 *
 * The lock is SQLite's, on an otherwise empty file: an operating system lock (fcntl, or LockFileEx on Windows) that ends
 * with the process however it dies, that also refuses the same process twice, and that works across containers which
 * share a volume. A POSIX lock is lost when *any* descriptor of its file is closed in the holding process, so nothing may
 * open the lock file itself; what people want to read stands in a second file. On a network file system the lock is only
 * as good as that system's; the data folder belongs on a local disk.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { toRfc3339, type Clock } from '../time/clock.ts'

export interface DirectoryLock extends Disposable {
  readonly directory: string
}

export class DirectoryInUse extends Error {
  override readonly name = 'DirectoryInUse'
  readonly directory: string
  readonly holderPid: number | undefined
  constructor(directory: string, holder: Holder | undefined) {
    const who = holder === undefined ? 'another process' : `process ${holder.pid} (since ${holder.startedAt})`
    super(
      `The data folder ${directory} is in use by ${who}. ` +
        'Stop that server first, or give this one a folder of its own with SOTTO_DATA_DIR.',
    )
    this.directory = directory
    this.holderPid = holder?.pid
  }
}

interface Holder {
  readonly pid: number
  readonly startedAt: string
}

/** Makes the folder if it is missing, for its owner only (0700). @throws DirectoryInUse */
export function lockDirectory(directory: string, clock: Clock): DirectoryLock {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const holderFile = join(directory, 'lock-holder.json')
  const file = new DatabaseSync(join(directory, 'lock'), { timeout: 0 })
  try {
    file.exec('pragma journal_mode = memory; begin exclusive')
  } catch (error) {
    file.close()
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) throw error
    throw new DirectoryInUse(directory, readHolder(holderFile))
  }
  const holder: Holder = { pid: process.pid, startedAt: toRfc3339(clock.now()) }
  writeFileSync(holderFile, JSON.stringify(holder), { mode: 0o600 })
  return { directory, [Symbol.dispose]: () => file.isOpen && file.close() }
}

/** https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5

function readHolder(file: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Holder
  } catch {
    return undefined
  }
}
