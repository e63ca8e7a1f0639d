// Writes every generated file: `npm run generate`. With --check, fails and names the files that were stale.
// A generator is a script that writes its files: tools/generate/<what>.ts, or generate-<what>.ts of a package.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runNode } from './run.ts'
import { root, SKIPPED } from './suites.ts'

const GENERATORS = ['tools/generate/*.ts', '{apps,packages}/*/generate-*.ts']

/** Where generated files are: the formatter and the length rules leave them alone. */
const GENERATED = ['docs/reference/**', 'apps/server/db/schema.sql', '{apps,packages}/*/src/**/*.generated.ts']

const check = process.argv.includes('--check')
const before = readGenerated()
let failed = false
for (const script of find(GENERATORS).filter((path) => !path.endsWith('.test.ts'))) {
  const { ok, output } = await runNode(script, [])
  if (output !== '') process.stdout.write(output)
  if (!ok) process.stdout.write(`generate: ${script} failed\n`)
  failed ||= !ok
}
const after = readGenerated()
const changed = [...after].filter(([path, text]) => before.get(path) !== text).map(([path]) => path)
for (const path of changed) process.stdout.write(`${check ? 'was stale, commit it' : 'wrote'}: ${path}\n`)
process.exitCode = failed || (check && changed.length > 0) ? 1 : 0

function readGenerated(): ReadonlyMap<string, string> {
  return new Map(find(GENERATED).map((path) => [path, readFileSync(join(root, path), 'utf8')]))
}

function find(patterns: readonly string[]): readonly string[] {
  const found = globSync([...patterns], { cwd: root, withFileTypes: true, exclude: (entry) => SKIPPED.has(entry.name) })
  const files = found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return files.map((path) => path.slice(root.length + 1)).toSorted()
}
