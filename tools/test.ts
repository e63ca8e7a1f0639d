// The gate, `npm test`: the static checks, then every suite, then one closing line of counts.
//   node tools/test.ts [--only <suite>]…   only these suites (`static` is one of them)
//   node tools/test.ts --long [--restart]  full counts, file by file, resumed where it was left (tools/test-long.ts)
import { parseArgs } from 'node:util'
import { add, closingLine, isGreen, nothing, type Counts } from './counts.ts'
import { runChecks, runSuites } from './run-suite.ts'
import { listSuiteFiles, listSuites } from './suites.ts'
import { runLong } from './test-long.ts'

await main()

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      long: { type: 'boolean', default: false },
      restart: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
    },
  })
  const wanted = (name: string): boolean => values.only.length === 0 || values.only.includes(name)
  const counts = values.long ? await runLong({ restart: values.restart, wanted }) : await runGate(wanted)
  closeRun(counts)
}

async function runGate(wanted: (name: string) => boolean): Promise<Counts> {
  let counts = wanted('static') ? await runChecks() : nothing
  const suites = listSuites().filter((suite) => wanted(suite.name) && listSuiteFiles(suite).length > 0)
  for (const round of new Set(suites.map((suite) => suite.round))) {
    const together = suites.filter((suite) => suite.round === round)
    say(`\n── ${together.map(({ name }) => name).join(', ')} ──`)
    const { counts: ran } = await runSuites(together, { show: true })
    counts = add(counts, ran)
  }
  return counts
}

function closeRun(counts: Counts): void {
  const strict = process.env['CI'] === 'true'
  const show = (title: string, lines: readonly string[]): void => {
    if (lines.length > 0) say(`\n${title}\n${lines.map((line) => `  ${line}`).join('\n')}`)
  }
  show('Skipped' + (strict ? ' (not allowed in CI)' : ''), counts.skips)
  show('Failed', counts.failures)
  say(`\n${closingLine(counts)}`)
  process.exitCode = isGreen(counts, strict) ? 0 : 1
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
