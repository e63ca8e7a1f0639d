/**
 * `npm run bench`: the workloads, each beside its reference in the same run, on PostgreSQL and on the embedded database.
 *
 * `--quick` looks shortly (≤ 2 minutes) · `--only a,b` runs some · `--on postgres` or `--on embedded` · a run of everything
 * writes `docs/reference/bench.md`, others print only.
 */

import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { DatabaseKind } from './lib/ground.ts'
import { renderSection, type Section } from './lib/report.ts'
import { measureColdStart } from './workloads/cold-start.ts'
import { measureDurableSends } from './workloads/durable-sends.ts'
import { measureSockets } from './workloads/fan-out.ts'
import { measureLastEntries } from './workloads/last-entries.ts'
import { settingOf } from './workloads/setting.ts'

const page = fileURLToPath(new URL('../docs/reference/bench.md', import.meta.url))

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' }, on: { type: 'string' } },
})
if (values.on !== undefined && values.on !== 'postgres' && values.on !== 'embedded') {
  process.stderr.write('--on takes postgres or embedded\n')
  process.exit(1)
}
// Leaving by a signal runs what each part has to clear away (`exit`); the child processes see their channel close.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))

const only = values.only?.split(',')
const isWanted = (...names: readonly string[]) => only === undefined || names.some((name) => only.includes(name))
const kinds: readonly DatabaseKind[] = values.on === undefined ? ['postgres', 'embedded'] : [values.on as DatabaseKind]

const begin = performance.now()
const loadBefore = loadavg()[0]!
const sections: Section[] = []
const left: string[] = []

/** On a busy machine what comes last is left out, and said to be. */
const MS_MAX = values.quick ? 100_000 : 900_000

async function measure(name: string, work: () => Promise<readonly Section[]>): Promise<void> {
  if (performance.now() - begin > MS_MAX) left.push(name)
  else sections.push(...(await work()))
}

for (const kind of kinds) {
  const setting = settingOf(kind, values.quick)
  if (isWanted('a', 'c')) await measure(`a and c on ${kind}`, () => measureDurableSends(setting))
  // What an idle socket takes does not depend on the database: it is weighed once.
  const wanted = { fanOut: isWanted('b'), idle: isWanted('d') && kind === kinds[0] }
  if (wanted.fanOut || wanted.idle) await measure(`b and d on ${kind}`, () => measureSockets(setting, wanted))
  if (isWanted('e')) await measure(`e on ${kind}`, () => measureLastEntries(setting))
  if (isWanted('f')) await measure(`f on ${kind}`, () => measureColdStart(setting))
}

const git = (...args: readonly string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim()

const minutes = ((performance.now() - begin) / 60_000).toFixed(1)
const text = [
  '# Benchmarks',
  '',
  '<!-- Made by `npm run bench`. Do not edit. -->',
  '',
  `What one machine does, and how near that is to what it could do: every figure stands beside a reference that ran in the same minutes, passes interleaved, medians told. **Read the ratios**; absolute figures are those of this machine at that hour.`,
  '',
  `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}; load generator, server, reference and PostgreSQL share them. Rate limits are raised out of the way, on our side only: the references have none. Other work on the machine when the run began: load ${loadBefore.toFixed(1)}. Took ${minutes} minutes, ${new Date().toISOString().slice(0, 10)}, commit \`${git('rev-parse', '--short', 'HEAD')}\`${git('status', '--porcelain', '--', 'apps', 'packages', 'bench') === '' ? '' : ' with uncommitted changes'}.`,
  '',
  ...(left.length === 0 ? [] : [`Left out, because the time was over: ${left.join('; ')}.`, '']),
  'Goals: (a) at least 0.5 of the bare SQL at 64 and 256 in flight on PostgreSQL (both readings of it stand in the tables: in commits of our size, and in whole ones); (b) at least 0.6 of bare `ws` with the same coalescing; (d) at most 12 kB more than bare.',
  '',
  ...sections.toSorted((one, other) => (one.title < other.title ? -1 : 1)).map(renderSection),
].join('\n')

if (only === undefined && values.on === undefined && !values.quick) await writeFile(page, text)
else process.stdout.write(`\n${text}`)
process.stdout.write(`\n${minutes} minutes\n`)
