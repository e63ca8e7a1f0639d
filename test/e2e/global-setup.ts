/** Vitest's global setup of this suite: the page, built once for all files, as it is shipped. */

import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** How the files of the run learn where it is. */
const PAGE = 'SOTTO_TEST_PAGE'

export default async function setUp(): Promise<() => Promise<void>> {
  const outDir = await mkdtemp(join(tmpdir(), 'sotto-page-'))
  await buildPage(outDir)
  process.env[PAGE] = outDir
  return () => rm(outDir, { recursive: true, force: true })
}

/** In a process of its own: a test run is no production build. */
async function buildPage(outDir: string): Promise<void> {
  const vite = join(root, 'node_modules/vite/bin/vite.js')
  const page = join(root, 'apps/chat')
  await promisify(execFile)(process.execPath, [vite, 'build', '--outDir', outDir, '--emptyOutDir', page], {
    cwd: page,
    env: { ...process.env, NODE_ENV: 'production' },
  })
}

export function builtPage(): string {
  const folder = process.env[PAGE]
  if (folder === undefined) throw new Error('the page is built before the first file of the suite')
  return folder
}
