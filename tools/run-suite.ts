import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { listChecks } from './checks.ts'
import { add, countCheck, countVitest, nothing, type Counts, type VitestReport } from './counts.ts'
import { quickPlace } from './quick-folder.ts'
import { runNode } from './run.ts'
import { listSuiteFiles, root, type Suite } from './suites.ts'

const VITEST = 'node_modules/vitest/vitest.mjs'
const CHECKS_AT_ONCE = 2

/** A few at a time; each prints its output only when it fails. */
export async function runChecks(checks = listChecks()): Promise<Counts> {
  say('── static ──')
  const waiting = [...checks]
  let counts = nothing
  const work = async (): Promise<void> => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
      const startedAt = performance.now()
      const { ok, output } = await check.run()
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
      say(`${ok ? ' ✓' : ' ✗'} ${check.name} (${seconds} s)`)
      if (!ok) say(output.trimEnd().replace(/^/gm, '     '))
      counts = add(counts, countCheck(check.name, ok))
    }
  }
  await Promise.all(Array.from({ length: CHECKS_AT_ONCE }, work))
  return counts
}

export interface SuiteRun {
  readonly counts: Counts
  readonly report: VitestReport | undefined
}

export interface SuiteOptions {
  /** Only these files of the suite, as paths from the root. */
  readonly files?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly show?: boolean
}

/** One run of Vitest for `suites`, which are of one round. */
export async function runSuites(suites: readonly Suite[], options: SuiteOptions): Promise<SuiteRun> {
  const folder = join(root, '.cache', 'test')
  const reportFile = join(folder, `${suites[0]!.name}-${process.pid}.json`)
  mkdirSync(folder, { recursive: true })
  rmSync(reportFile, { force: true })
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`]
  const projects = suites.map(({ name }) => `--project=${name}`)
  const args = ['run', ...projects, ...reporters, ...(options.files ?? [])]
  const { ok } = await runNode(VITEST, args, { show: options.show ?? false, env: { ...options.env, ...quickPlace() } })
  const report = readReport(reportFile)
  rmSync(reportFile, { force: true })
  return { counts: countSuites(suites, report, ok), report }
}

/** The run as a whole; and a suite that ran nothing is not hidden by the others. */
function countSuites(suites: readonly Suite[], report: VitestReport | undefined, ok: boolean): Counts {
  const whole = countVitest(suites.map(({ name }) => name).join(', '), report, ok)
  if (report === undefined || suites.length === 1) return whole
  const ran = new Set(report.testResults.map(({ name }) => name))
  const silent = suites.filter((suite) => !listSuiteFiles(suite).some((file) => ran.has(file)))
  return silent.map(({ name }) => countVitest(name, { testResults: [] }, true)).reduce(add, whole)
}

function readReport(path: string): VitestReport | undefined {
  try {
    const report = JSON.parse(readFileSync(path, 'utf8')) as VitestReport
    const testResults = report.testResults.map((file) => ({ ...file, name: relative(root, file.name) }))
    return { testResults }
  } catch {
    return undefined
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
