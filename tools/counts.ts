/** What a run did, in tests. `failures` has one line per failure, fit to be shown. */
export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly failures: readonly string[]
  readonly skips: readonly string[]
}

/** The part of Vitest's JSON report that we read. */
export interface VitestReport {
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message?: string
    /** Milliseconds since the epoch. */
    readonly startTime?: number
    readonly endTime?: number
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages?: readonly string[]
      readonly meta?: { readonly counts?: Readonly<Record<string, number>>; readonly seed?: number }
    }[]
  }[]
}

export const nothing: Counts = { passed: 0, failed: 0, skipped: 0, failures: [], skips: [] }

export function add(left: Counts, right: Counts): Counts {
  return {
    passed: left.passed + right.passed,
    failed: left.failed + right.failed,
    skipped: left.skipped + right.skipped,
    failures: [...left.failures, ...right.failures],
    skips: [...left.skips, ...right.skips],
  }
}

/**
 * Counts a Vitest run. Whatever the report leaves out counts as a failure: a file that did not load, a run that ended
 * with an error outside of any test, a suite that has files and ran none of their tests.
 *
 * @param report  undefined when the run left none
 * @param exitOk  whether Vitest itself was satisfied
 */
export function countVitest(suite: string, report: VitestReport | undefined, exitOk: boolean): Counts {
  if (report === undefined) return failure(`${suite}: the run ended without a report`)
  const counts = report.testResults.map(countFile).reduce(add, nothing)
  if (counts.passed + counts.failed + counts.skipped === 0) return failure(`${suite}: no test was run`)
  if (!exitOk && counts.failed === 0) return add(counts, failure(`${suite}: an error outside of the tests`))
  return counts
}

export function countCheck(name: string, ok: boolean): Counts {
  return ok ? { ...nothing, passed: 1 } : failure(`static: ${name}`)
}

/**
 * The verdict over everything.
 *
 * @param strict  in CI a skipped test is a failure of the run: nobody would see that it never ran
 */
export function isGreen(counts: Counts, strict: boolean): boolean {
  return counts.failed === 0 && counts.passed > 0 && (!strict || counts.skipped === 0)
}

/** The line that closes a run and that machines read: alone on its line. */
export function closingLine(counts: Counts): string {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`
}

function countFile(file: VitestReport['testResults'][number]): Counts {
  const counts = file.assertionResults.map((test) => countTest(file.name, test)).reduce(add, nothing)
  const silent = file.status === 'failed' && counts.failed === 0
  return silent ? add(counts, failure(`${file.name}: ${firstLine(file.message) || 'did not run'}`)) : counts
}

type TestResult = VitestReport['testResults'][number]['assertionResults'][number]

function countTest(file: string, test: TestResult): Counts {
  if (test.status === 'passed') return { ...nothing, passed: 1 }
  const line = `${file}: ${test.fullName}`
  if (test.status !== 'failed') return { ...nothing, skipped: 1, skips: [line] }
  // Where only the end of the output is kept, this line is all that is left of the failure.
  const why = firstLine(test.failureMessages?.[0])
  return failure(why === '' ? line : `${line}: ${why}`)
}

function failure(line: string): Counts {
  return { ...nothing, failed: 1, failures: [line] }
}

function firstLine(text = ''): string {
  return text.trim().split('\n')[0] ?? ''
}
