import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { slowFolder } from './tools/quick-folder.ts'
import { listSuites, root } from './tools/suites.ts'

/**
 * Starts the databases once per run, whichever suite comes first; tests get their own schema or data folder from it. A suite
 * may have more to set up.
 */
const globalSetupOf = (suite: string): string[] =>
  ['packages/testkit/src/global-setup.ts', `test/${suite}/global-setup.ts`]
    .map((path) => join(root, path))
    .filter((path) => existsSync(path))

export default defineConfig({
  test: {
    // A process per file: the tests start worker threads, take locks on folders and read `process.memoryUsage`.
    pool: 'forks',
    projects: listSuites().map((suite) => ({
      extends: true as const,
      test: {
        name: suite.name,
        include: [...suite.include],
        exclude: ['**/node_modules/**', '**/dist/**'],
        maxWorkers: suite.workers,
        testTimeout: suite.testTimeoutMs,
        hookTimeout: Math.max(60_000, suite.testTimeoutMs),
        sequence: { groupOrder: suite.round },
        env: suite.onDisk ? { TMPDIR: slowFolder() } : {},
        globalSetup: globalSetupOf(suite.name),
      },
    })),
  },
})
