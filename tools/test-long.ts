import { execFileSync } from 'node:child_process'
import { createHash, randomInt } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { add, countVitest, nothing, type Counts, type VitestReport } from './counts.ts'
import { runChecks, runSuites } from './run-suite.ts'
import { listSuiteFiles, listSuites, root, type Suite } from './suites.ts'

/** The page that carries the last full run. */
const PAGE = 'docs/reference/test-long.md'
/** Written by runs, so they are not part of what is tested. */
const WRITTEN = new Set([PAGE, 'docs/reference/bench.md'])
/** Enough to share the cost of starting the databases, few enough to lose little when the run is stopped. */
const FILES_AT_ONCE = 16

const STATE = join(root, '.cache', 'test-long.json')

interface FileResult {
  readonly suite: string
  readonly counts: Counts
  readonly seconds: number
  readonly notes: readonly string[]
  /** What was tested: see `fingerprint`. */
  readonly sources: string
  readonly commit: string
}

/** How far a run has come. What a file gave stands while neither the product nor the file's own suite has changed. */
interface State {
  readonly seed: number
  readonly files: Record<string, FileResult>
}

export interface LongOptions {
  readonly restart: boolean
  readonly wanted: (suite: string) => boolean
}

/**
 * Runs every test file with full counts (`SOTTO_TEST_LONG=1`) and one seed for the whole run (`SOTTO_TEST_SEED`), a few
 * files at a time. Files that passed are not run again when the run is resumed; files that failed are, and those whose
 * sources have changed.
 */
export async function runLong(options: LongOptions): Promise<Counts> {
  process.env['SOTTO_TEST_LONG'] = '1'
  const state = readState(options.restart)
  const tested = listSuites()
    .filter(({ name }) => options.wanted(name))
    .map((suite) => ({ suite, sources: fingerprint(suite) }))
  let counts = options.wanted('static') ? await runChecks() : nothing
  for (const { suite, sources } of tested) {
    const files = listSuiteFiles(suite)
    const left = files.filter((file) => state.files[file]?.sources !== sources || state.files[file].counts.failed > 0)
    say(`\n── ${suite.name}: ${files.length} files, ${files.length - left.length} of them done ──`)
    const size = suite.onDisk ? suite.workers : FILES_AT_ONCE
    for (let at = 0; at < left.length; at += size) {
      const results = await runFiles(suite, left.slice(at, at + size), state.seed, sources)
      assertUnchanged(suite, sources)
      Object.assign(state.files, results)
      writeState(state)
    }
    counts = files.map((file) => state.files[file]!.counts).reduce(add, counts)
  }
  const whole = options.wanted('static') && listSuites().every(({ name }) => options.wanted(name))
  for (const { suite, sources } of tested) assertUnchanged(suite, sources)
  if (counts.failed === 0 && whole) writePage(state, counts)
  else say(`${PAGE} is left as it was: it tells of the last whole run in which everything passed`)
  return counts
}

/** A page tells of one state of the sources, or of none. @throws when they have changed under the run */
function assertUnchanged(suite: Suite, sources: string): void {
  if (fingerprint(suite) !== sources)
    throw new Error('the sources have changed under the run: start it again, in a clone of its own')
}

async function runFiles(
  suite: Suite,
  files: readonly string[],
  seed: number,
  sources: string,
): Promise<Record<string, FileResult>> {
  const isChanged = git('status', '--porcelain').trim() !== ''
  const commit = `${git('rev-parse', '--short', 'HEAD').trim()}${isChanged ? ' with changes' : ''}`
  const env = { SOTTO_TEST_LONG: '1', SOTTO_TEST_SEED: String(seed) }
  const { counts: all, report } = await runSuites([suite], { files, env, show: true })
  const results = files.map((file): [string, FileResult] => {
    const part = report?.testResults.filter(({ name }) => name === file) ?? []
    const counts = countVitest(file, { testResults: part }, true)
    const seconds = part.reduce((sum, { startTime = 0, endTime = 0 }) => sum + (endTime - startTime) / 1000, 0)
    return [file, { suite: suite.name, counts, seconds, notes: notesOf({ testResults: part }), sources, commit }]
  })
  // An error outside of the tests belongs to no file: then none of them is done.
  const lost = results.every(([, { counts }]) => counts.failed === 0) && all.failed > 0
  return Object.fromEntries(results.map(([file, result]) => [file, lost ? { ...result, counts: all } : result]))
}

/** What the tests said of themselves in `task.meta`: how much they did and from which seed. */
function notesOf(report: VitestReport | undefined): readonly string[] {
  const tests = report?.testResults.flatMap((file) => file.assertionResults) ?? []
  return tests.flatMap(({ fullName, meta }) => {
    const parts = Object.entries(meta?.counts ?? {}).map(([name, count]) => `${count.toLocaleString('en')} ${name}`)
    if (meta?.seed !== undefined) parts.push(`seed ${meta.seed}`)
    return parts.length > 0 ? [`${fullName}: ${parts.join(', ')}`] : []
  })
}

function readState(restart: boolean): State {
  try {
    if (!restart) return JSON.parse(readFileSync(STATE, 'utf8')) as State
    say('starting over')
  } catch {
    say('starting a long run')
  }
  return { seed: randomInt(1, 2 ** 31), files: {} }
}

function writeState(state: State): void {
  mkdirSync(dirname(STATE), { recursive: true })
  writeFileSync(STATE, JSON.stringify(state))
}

/**
 * All that a suite's results rest on: Node, the choice of databases, and every file of the work tree but for those of other
 * suites under `test/`.
 */
function fingerprint({ name }: Suite): string {
  const hash = createHash('sha256').update(`${process.version} ${process.env['SOTTO_TEST_DATABASE'] ?? ''}`)
  const paths = git('ls-files', '--cached', '--others', '--exclude-standard', '-z').split('\0')
  for (const path of paths.filter((each) => each !== '' && !WRITTEN.has(each)).toSorted()) {
    if (path.startsWith('test/') && !path.startsWith(`test/${name}/`)) continue
    if (existsSync(join(root, path)))
      hash
        .update(path)
        .update('\0')
        .update(readFileSync(join(root, path)))
  }
  return hash.digest('hex')
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 })
}

function writePage(state: State, total: Counts): void {
  const current = new Set(listSuites().flatMap(listSuiteFiles))
  const results = Object.entries(state.files).filter(([file]) => current.has(file))
  const minutes = results.reduce((sum, [, result]) => sum + result.seconds, 0) / 60
  const dirty = git('status', '--porcelain', '--', '.', ...[...WRITTEN].map((path) => `:!${path}`)).trim() !== ''
  const machine = `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`
  const page = `# The last long test run

Written by \`npm run test:long\`: every test with full counts. Nothing here is edited by hand.

| | |
|---|---|
| date | ${new Date().toISOString().slice(0, 10)} |
| commit | \`${git('rev-parse', 'HEAD').trim()}\`${dirty ? ' with uncommitted changes' : ''} |
| machine | ${machine} |
| seed | ${state.seed} |
| result | ${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped |
| time in tests | ${minutes.toFixed(1)} minutes |

## By file

A result stands until the product or the file's own suite changes: the commit is the one at which the file was run.

| suite | file | passed | skipped | seconds | commit |
|---|---|---|---|---|---|
${results.map(([file, { suite, counts, seconds, commit }]) => `| ${suite} | \`${file}\` | ${counts.passed} | ${counts.skipped} | ${seconds.toFixed(1)} | \`${commit}\` |`).join('\n')}

## What was counted

${results.flatMap(([, { notes }]) => notes.map((note) => `- ${note}`)).join('\n') || 'No test reported counts.'}
`
  mkdirSync(dirname(join(root, PAGE)), { recursive: true })
  writeFileSync(join(root, PAGE), page)
  say(`wrote ${PAGE}`)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
