/** Public test vectors, read in place from the data that is kept beside the repository (see ORIGINS.md there). */

import { existsSync, readFileSync } from 'node:fs'
import { test } from 'vitest'

const folder = new URL('../../../../../../shared/data/vectors/', import.meta.url)

const canRun = existsSync(folder) || process.env['CI'] === 'true'

/** Where the data is missing the test is shown as skipped; in CI it runs and fails. */
export function testWithVectors(name: string, run: () => void): void {
  test.runIf(canRun)(name, run)
}

export interface WycheproofTest {
  readonly tcId: number
  readonly comment: string
  readonly result: 'valid' | 'invalid' | 'acceptable'
  readonly [field: string]: string | number | readonly string[]
}

export interface WycheproofGroup {
  readonly ivSize?: number
  readonly keySize?: number
  readonly tagSize?: number
  readonly tests: readonly WycheproofTest[]
}

export function readWycheproof(name: string): readonly WycheproofGroup[] {
  const file = JSON.parse(readFileSync(new URL(`wycheproof/${name}.json`, folder), 'utf8')) as {
    testGroups: readonly WycheproofGroup[]
  }
  return file.testGroups
}
