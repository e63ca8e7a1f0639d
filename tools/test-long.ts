import { execFileSync } from 'node:child_process'
import { createHash, randomInt } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { add, countVitest, nothing, type Counts, type VitestReport } from './counts.ts'
import { runChecks, runSuite } from './run-suite.ts'
import { listSuiteFiles, listSuites, root, type Suite } from './suites.ts'

/** The page that carries the last full run. It is written by that run, so it is not part of what was tested. */
const PAGE = 'docs/reference/test-long.md'
/** Enough to share the cost of starting the databases, few enough to lose little when the run is stopped. */
const FILES_AT_ONCE = 16

const STATE = join(root, '.cache', 'test-long.json')

interface FileResult {
  readonly suite: string
  readonly counts: Counts
  readonly seconds: number
  readonly notes: readonly string[]
}

/** How far a run has come. It belongs to one state of the sources; any change of them starts a new run. */
interface State {
  readonly sources: string
  readonly seed: number
  readonly files: Record<string, FileResult>
}

export interface LongOptions {
  readonly restart: boolean
  readonly wanted: (suite: string) => boolean
}

/**
 * Runs every test file with full counts (`SOTTO_TEST_LONG=1`) and one seed for the whole run (`SOTTO_TEST_SEED`), a few
 * files at a time. Files that passed are not run again when the run is resumed; files that failed are.
 */
export async function runLong(options: LongOptions): Promise<Counts> {
  process.env['SOTTO_TEST_LONG'] = '1'
  const state = readState(options.restart)
  let counts = options.wanted('static') ? await runChecks() : nothing
  for (const suite of listSuites().filter(({ name }) => options.wanted(name))) {
    const files = listSuiteFiles(suite)
    const left = files.filter((file) => state.files[file]?.counts.failed !== 0)
    say(`\n── ${suite.name}: ${files.length} files, ${files.length - left.length} of them done ──`)
    const size = suite.onDisk ? suite.workers : FILES_AT_ONCE
    for (let at = 0; at < left.length; at += size) {
      assertUnchanged(state)
      Object.assign(state.files, await runFiles(suite, left.slice(at, at + size), state.seed))
      writeState(state)
    }
    counts = files.map((file) => state.files[file]!.counts).reduce(add, counts)
  }
  const whole = options.wanted('static') && listSuites().every(({ name }) => options.wanted(name))
  assertUnchanged(state)
  if (counts.failed === 0 && whole) writePage(state, counts)
  else say(`${PAGE} is left as it was: it tells of the last whole run in which everything passed`)
  return counts
}

/** A page tells of one state of the sources, or of none. @throws when they have changed under the run */
function assertUnchanged({ sources }: State): void {
  if (fingerprint() !== sources)
    throw new Error('the sources have changed under the run: start it again, in a clone of its own')
}

async function runFiles(suite: Suite, files: readonly string[], seed: number): Promise<Record<string, FileResult>> {
  const env = { SOTTO_TEST_LONG: '1', SOTTO_TEST_SEED: String(seed) }
  const { counts: all, report } = await runSuite(suite, { files, env, show: true })
  const results = files.map((file): [string, FileResult] => {
    const part = report?.testResults.filter(({ name }) => name === file) ?? []
    const counts = countVitest(file, { testResults: part }, true)
    const seconds = part.reduce((sum, { startTime = 0, endTime = 0 }) => sum + (endTime - startTime) / 1000, 0)
    return [file, { suite: suite.name, counts, seconds, notes: notesOf({ testResults: part }) }]
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
  const sources = fingerprint()
  try {
    const state = JSON.parse(readFileSync(STATE, 'utf8')) as State
    if (!restart && state.sources === sources) return state
    say(restart ? 'starting over' : 'the sources have changed since the last run: starting over')
  } catch {
    say('starting a long run')
  }
  return { sources, seed: randomInt(1, 2 ** 31), files: {} }
}

function writeState(state: State): void {
  mkdirSync(dirname(STATE), { recursive: true })
  writeFileSync(STATE, JSON.stringify(state))
}

/** The commit and, when the work tree differs from it, the differences. */
function fingerprint(): string {
  const others = git('ls-files', '--others', '--exclude-standard', '-z')
    .split('\0')
    .filter((path) => path !== '' && path !== PAGE)
  const hash = createHash('sha256').update(git('diff', 'HEAD', '--', '.', `:!${PAGE}`))
  for (const path of others) hash.update(path).update(readFileSync(join(root, path)))
  return `${git('rev-parse', 'HEAD').trim()} ${hash.digest('hex')}`
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 })
}

function writePage(state: State, total: Counts): void {
  const results = Object.entries(state.files)
  const minutes = results.reduce((sum, [, result]) => sum + result.seconds, 0) / 60
  const dirty = git('status', '--porcelain', '--', '.', `:!${PAGE}`).trim() !== ''
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

| suite | file | passed | skipped | seconds |
|---|---|---|---|---|
${results.map(([file, { suite, counts, seconds }]) => `| ${suite} | \`${file}\` | ${counts.passed} | ${counts.skipped} | ${seconds.toFixed(1)} |`).join('\n')}

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
