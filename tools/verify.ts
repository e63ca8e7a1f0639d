// `npm run verify`: everything the gate checks, and what is too slow or too picky for every run of it.
import { listSlowChecks } from './checks.ts'
import { runChecks } from './run-suite.ts'
import { runNode } from './run.ts'

const slow = await runChecks(listSlowChecks())
const gate = await runNode('tools/test.ts', [], { show: true })
for (const line of slow.failures) process.stdout.write(`Failed before the gate: ${line}\n`)
process.exitCode = gate.ok && slow.failed === 0 ? 0 : 1
