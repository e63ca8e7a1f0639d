import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { listChecks } from './checks.ts'
import { add, countCheck, countVitest, nothing, type Counts, type VitestReport } from './counts.ts'
import { openQuickFolder } from './quick-folder.ts'
import { runNode } from './run.ts'
import { root, type Suite } from './suites.ts'

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

export async function runSuite(suite: Suite, options: SuiteOptions): Promise<SuiteRun> {
  const folder = join(root, '.cache', 'test')
  const reportFile = join(folder, `${suite.name}-${process.pid}.json`)
  mkdirSync(folder, { recursive: true })
  rmSync(reportFile, { force: true })
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`]
  const args = ['run', '--project', suite.name, ...reporters, ...(options.files ?? [])]
  const quick = suite.onDisk ? undefined : openQuickFolder()
  const env = { ...options.env, ...(quick === undefined ? {} : { TMPDIR: quick }) }
  const { ok } = await runNode(VITEST, args, { show: options.show ?? false, env })
  const report = readReport(reportFile)
  rmSync(reportFile, { force: true })
  return { counts: countVitest(suite.name, report, ok), report }
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
