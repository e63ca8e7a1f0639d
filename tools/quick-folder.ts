import { mkdirSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MEMORY = '/dev/shm'
/** What the databases of a run take at most, with room to spare. */
const BYTES_MIN = 4 * 2 ** 30
const PREFIX = 'sotto-test-'

/** Where a run in the quick folder finds the system's own temporary folder, for what is about disks. */
const SLOW = 'SOTTO_TEST_DISK'

let opened: string | undefined

/** @returns what to set in the environment of a run so that its temporary files, and what Node compiles, are in memory */
export function quickPlace(): Readonly<Record<string, string>> {
  const folder = openQuickFolder()
  return folder === undefined
    ? {}
    : { TMPDIR: folder, [SLOW]: slowFolder(), NODE_COMPILE_CACHE: join(folder, 'compiled') }
}

/** @returns the system's temporary folder, also in a run whose own is in memory */
export function slowFolder(): string {
  return process.env[SLOW] ?? tmpdir()
}

/**
 * The folder for what tests make, in memory where there is enough of it: thousands of commits wait for no disk. It is
 * removed when the process ends; what an earlier run left because it was killed is removed now.
 *
 * @returns undefined where there is no such place: then it is the system's temporary folder
 */
function openQuickFolder(): string | undefined {
  if (opened !== undefined) return opened
  try {
    const { bavail, bsize } = statfsSync(MEMORY)
    if (bavail * bsize < BYTES_MIN) return undefined
    for (const name of readdirSync(MEMORY)) {
      if (name.startsWith(PREFIX) && !isAlive(Number(name.slice(PREFIX.length))))
        rmSync(join(MEMORY, name), { recursive: true, force: true })
    }
    const folder = join(MEMORY, `${PREFIX}${process.pid}`)
    // Other users have parts in it: PostgreSQL does not run as root.
    mkdirSync(folder, { recursive: true, mode: 0o755 })
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
    return (opened = folder)
  } catch {
    return undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM'
  }
}
