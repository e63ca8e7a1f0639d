import { existsSync, globSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { runNode, type Ran } from './run.ts'
import { root, SKIPPED } from './suites.ts'

/** One static check: it looks at files and starts nothing. The gate counts each as one test. */
export interface Check {
  readonly name: string
  run(): Promise<Ran>
}

const TSC = 'node_modules/typescript/bin/tsc'

/** Quick enough for every run of the gate. */
export function listChecks(): readonly Check[] {
  return [
    script('types', TSC, '-p', '.'),
    ...workspaceTypes(),
    script('unused code', 'node_modules/knip/bin/knip.js', '--no-progress', '--no-config-hints'),
    script('lint', 'node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings', '--format=unix'),
    script('format', 'node_modules/oxfmt/bin/oxfmt', '--check', '.'),
    ...ours('tidy', 'tools/tidy.ts'),
    ...ours('licences', 'tools/licences.ts'),
    ...ours('generated files', 'tools/generate.ts', '--check'),
  ]
}

/** What `npm run verify` adds. */
export function listSlowChecks(): readonly Check[] {
  return [...ours('code in documents', 'tools/docs.ts')]
}

/** What runs in a browser, or drives one, has a tsconfig of its own, with the DOM in it. */
function workspaceTypes(): readonly Check[] {
  const patterns = ['{apps,packages}/*/tsconfig.json', 'test/tsconfig.json']
  const configs = globSync(patterns, { cwd: root, exclude: (name) => SKIPPED.has(name) })
  return configs
    .toSorted()
    .map((config) => script(`types of ${dirname(config)}`, TSC, '-p', dirname(config), '--noEmit'))
}

function ours(name: string, path: string, ...args: readonly string[]): readonly Check[] {
  return existsSync(join(root, path)) ? [script(name, path, ...args)] : []
}

function script(name: string, path: string, ...args: readonly string[]): Check {
  return { name, run: () => runNode(path, args) }
}
