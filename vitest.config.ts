import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { listSuites, root } from './tools/suites.ts'

// Starts the databases once per run; tests get their own schema or data folder from it.
const globalSetup = join(root, 'packages/testkit/src/global-setup.ts')

export default defineConfig({
  test: {
    // A process per file: the tests start worker threads, take locks on folders and read `process.memoryUsage`.
    pool: 'forks',
    projects: listSuites().map((suite, index) => ({
      extends: true as const,
      test: {
        name: suite.name,
        include: [...suite.include],
        exclude: ['**/node_modules/**', '**/dist/**'],
        maxWorkers: suite.workers,
        testTimeout: suite.testTimeoutMs,
        hookTimeout: Math.max(60_000, suite.testTimeoutMs),
        sequence: { groupOrder: index },
        ...(existsSync(globalSetup) ? { globalSetup: [globalSetup] } : {}),
      },
    })),
  },
})
