import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { EXIT_MISTAKE } from './last-resort.ts'

const here = (path: string) => JSON.stringify(fileURLToPath(new URL(path, import.meta.url)))

/** A process of its own that goes wrong in this way. */
function run(wrong: string, drain = `console.log('drained')`) {
  const code = `
    import { endOnUnhandled } from ${here('./last-resort.ts')}
    import { createLog } from ${here('../platform/log/log.ts')}
    setInterval(() => {}, 1_000)
    const log = createLog({ level: 'info' })
    endOnUnhandled({ source: process, log, drain: async () => { ${drain} }, exit: (code) => process.exit(code), drainMsMax: 500 })
    ${wrong}`
  return new Promise<{ code: unknown; out: string; err: string }>((resolve) => {
    execFile(process.execPath, ['--input-type=module', '-e', code], (error, out, err) =>
      resolve({ code: error?.code ?? 0, out, err }),
    )
  })
}

test.each([
  ['an exception', `setImmediate(() => { throw new TypeError('Bob has diabetes') })`],
  ['a rejection', `void Promise.reject(new TypeError('Bob has diabetes'))`],
])(
  '%s that nobody catches is logged without what it says, and ends the process after a drain',
  async (_what, wrong) => {
    const { code, out, err } = await run(wrong)
    expect([code, out]).toEqual([EXIT_MISTAKE, 'drained\n'])
    expect(err).not.toContain('diabetes')
    const lines = err.trim().split('\n')
    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0]!)).toMatchObject({ level: 50, event: 'process.unhandled', errorName: 'TypeError' })
  },
)

test('a drain that fails, or does not come to its end, does not keep the process', async () => {
  const wrong = `void Promise.reject(new Error('first'))`
  const failed = await run(wrong, `throw new RangeError('while draining')`)
  expect(failed.code).toBe(EXIT_MISTAKE)
  expect(failed.err.match(/"event":"process.unhandled"/g)).toHaveLength(2)
  const stuck = await run(wrong, `await new Promise(() => {})`)
  expect(stuck.code).toBe(EXIT_MISTAKE)
})
