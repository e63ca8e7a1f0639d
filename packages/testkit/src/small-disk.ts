/** A disk that is really small, to be really full: a memory file system of its own, mounted for one test. */

import { execFileSync } from 'node:child_process'
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SmallDisk extends AsyncDisposable {
  readonly path: string
  readonly freeBytes: number
  /** Fills it to the last byte, or leaves so many. */
  fill(leaveBytes?: number): void
  /** Makes room again. */
  clear(): void
}

/** Why this process cannot mount one; undefined: it can. In CI not being able to is an error, not a reason to skip. */
export function whyNoSmallDisk(): string | undefined {
  const why =
    process.platform !== 'linux'
      ? 'a tmpfs is mounted on Linux only'
      : process.getuid?.() !== 0
        ? 'only root mounts a tmpfs'
        : undefined
  if (why !== undefined && process.env['CI'] === 'true')
    throw new Error(`The full disk cannot be tested here: ${why}. Run the tests as root on Linux.`)
  return why
}

export async function mountSmallDisk(megabytes: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'sotto-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0755`, 'sotto-test', path])
  const ballast = join(path, 'ballast')
  const freeBytes = (): number => {
    const { bavail, bsize } = statfsSync(path)
    return bavail * bsize
  }
  return {
    path,
    get freeBytes() {
      return freeBytes()
    },
    fill(leaveBytes = 0) {
      const file = openSync(ballast, 'a')
      const block = Buffer.alloc(65_536)
      try {
        for (let free = freeBytes(); free > leaveBytes; free = freeBytes())
          writeSync(file, block, 0, Math.min(block.length, free - leaveBytes))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      } finally {
        closeSync(file)
      }
    },
    clear: () => rmSync(ballast, { force: true }),
    async [Symbol.asyncDispose]() {
      // Lazily: what was killed a moment ago may still be on its way out.
      execFileSync('umount', ['--lazy', path])
      await rmdir(path)
    },
  }
}
