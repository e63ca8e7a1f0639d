import { globSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

/**
 * The test suites, in the order in which they run. One list for vitest.config.ts (a project each) and tools/test.ts
 * (a run for each round). Every folder under test/ is a suite, so a new kind of test needs no registration.
 */
export interface Suite {
  readonly name: string
  readonly include: readonly string[]
  /** Suites of one round run together: their files fill each other's waits, and the databases are set up once. */
  readonly round: number
  /** How many files run at once, the same for all suites of a round. */
  readonly workers: number
  readonly testTimeoutMs: number
  /**
   * What it opens itself stands on the disk: it is about what happens when things end without a word. The PostgreSQL that
   * all suites of a run share does not, and never ends in a test.
   */
  readonly onDisk: boolean
}

/** Two at most: more would test less of what people's own machines do. */
const CORES = Math.min(2, availableParallelism())
/** More files than cores at once: they wait for disks, time-outs and processes for a good part of their time. */
const FILES = CORES + 2

export const root = join(import.meta.dirname, '..')

/** Full counts take about as much longer; a time-out must not be what ends them. */
const LONG_FACTOR = 20

/** What stops processes, counts seconds or draws pages: after everything that is quicker to fail. */
const LAST = ['flows', 'faults', 'e2e']

export function listSuites(long = process.env['SOTTO_TEST_LONG'] === '1'): readonly Suite[] {
  const factor = long ? LONG_FACTOR : 1
  const folders = testFolders()
  const ordered = [...folders.filter((name) => !LAST.includes(name)), ...LAST.filter((name) => folders.includes(name))]
  return [
    {
      name: 'unit',
      include: ['apps/*/**/*.test.{ts,tsx}', 'packages/*/**/*.test.{ts,tsx}', 'tools/**/*.test.ts'],
      round: 0,
      workers: FILES,
      testTimeoutMs: 60_000 * factor,
      onDisk: false,
    },
    ...ordered.map((name) => ({
      name,
      include: [`test/${name}/**/*.test.ts`],
      round: LAST.includes(name) ? 1 : 0,
      workers: FILES,
      testTimeoutMs: (name === 'faults' ? 300_000 : 120_000) * factor,
      onDisk: name === 'faults' || name === 'flows',
    })),
  ]
}

/** @returns the suite's files as paths from the root, sorted */
export function listSuiteFiles(suite: Suite): readonly string[] {
  const found = globSync([...suite.include], { cwd: root, exclude: (name) => SKIPPED.has(name) })
  return found.map((path) => path.replaceAll('\\', '/')).toSorted()
}

export const SKIPPED = new Set(['node_modules', 'dist', '.git', '.cache'])

function testFolders(): readonly string[] {
  try {
    return readdirSync(join(root, 'test'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .toSorted()
  } catch {
    return []
  }
}
