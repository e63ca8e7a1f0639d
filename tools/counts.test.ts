import { describe, expect, test } from 'vitest'
import { add, closingLine, countCheck, countVitest, isGreen, nothing, type VitestReport } from './counts.ts'

type Statuses = readonly string[]
const file = (name: string, statuses: Statuses, status = 'passed', message = ''): VitestReport['testResults'][0] => ({
  name,
  status,
  message,
  assertionResults: statuses.map((each, index) => ({ fullName: `test ${index + 1}`, status: each })),
})
const report = (...testResults: VitestReport['testResults']): VitestReport => ({ testResults })

describe('counting a run', () => {
  test('sums the tests of all files', () => {
    const counts = countVitest(
      'unit',
      report(file('a.test.ts', ['passed', 'passed']), file('b.test.ts', ['passed'])),
      true,
    )
    expect(closingLine(add(counts, countCheck('lint', true)))).toBe('4 passed, 0 failed')
    expect(isGreen(counts, true)).toBe(true)
  })

  test('names each failed test with its file', () => {
    const counts = countVitest('unit', report(file('a.test.ts', ['passed', 'failed'], 'failed')), false)
    expect(counts.failures).toEqual(['a.test.ts: test 2'])
    expect(isGreen(counts, false)).toBe(false)
  })

  test('says why, in a line', () => {
    const red = file('a.test.ts', [], 'failed')
    const failureMessages = ['AssertionError: expected 3 to be 4\n    at a.test.ts:3']
    const assertionResults = [{ fullName: 'test 1', status: 'failed', failureMessages }]
    const counts = countVitest('unit', report({ ...red, assertionResults }), false)
    expect(counts.failures).toEqual(['a.test.ts: test 1: AssertionError: expected 3 to be 4'])
  })

  test('counts a file that does not load as a failure', () => {
    const counts = countVitest('unit', report(file('a.test.ts', [], 'failed', 'SyntaxError: no\nat line 3')), false)
    expect(counts.failures).toEqual(['a.test.ts: SyntaxError: no'])
  })

  test('counts an error outside of the tests as a failure', () => {
    const counts = countVitest('unit', report(file('a.test.ts', ['passed'])), false)
    expect(counts).toMatchObject({ passed: 1, failed: 1 })
  })

  test('counts a run without a report, and one without a test, as a failure', () => {
    expect(countVitest('unit', undefined, true).failed).toBe(1)
    expect(countVitest('unit', report(), true).failed).toBe(1)
    expect(isGreen(nothing, false)).toBe(false)
  })

  test('lets a skipped test pass at a desk and fails it in CI', () => {
    const counts = countVitest('unit', report(file('a.test.ts', ['passed', 'skipped', 'todo'])), true)
    expect(closingLine(counts)).toBe('1 passed, 0 failed, 2 skipped')
    expect([isGreen(counts, false), isGreen(counts, true)]).toEqual([true, false])
  })
})
