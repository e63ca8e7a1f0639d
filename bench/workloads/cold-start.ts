/** Workload f: from the command to a server that answers, beside the bare libraries doing the same. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { loadConfig, migratePostgres } from '@sotto/server'
import { openGround } from '../lib/ground.ts'
import { fixed, median, ratio } from '../lib/numbers.ts'
import type { Section } from '../lib/report.ts'
import { databaseNames, type Setting } from './setting.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const SERVE = ['apps/cli/src/main.ts', 'serve', '--demo']

type Env = Readonly<Record<string, string>>

interface Times {
  readonly startMs: number
  readonly stopMs: number
}

export async function measureColdStart(setting: Setting): Promise<readonly Section[]> {
  await using ground = await openGround(setting.kind)
  const firsts: Times[] = []
  const laters: Times[] = []
  const bareFirsts: Times[] = []
  const bareLaters: Times[] = []
  for (let round = 0; round < (setting.isQuick ? 1 : 3); round++) {
    const env = await ground.place(`round-${round}`)
    if (setting.kind === 'postgres') await migratePostgres(loadConfig(env), { isDryRun: false, mayCreateKeyring: true })
    for (const times of [firsts, laters]) times.push(await startAndStop(SERVE, env, /password/i))
    const bare = ['bench/bare-start.ts', env['DATABASE_OWNER_URL'] ?? `${env['SOTTO_DATA_DIR']!}-bare`]
    for (const times of [bareFirsts, bareLaters]) times.push(await startAndStop(bare, {}, /ready/))
  }
  const starts = [firsts, laters, bareFirsts, bareLaters].map((times) => median(times.map(({ startMs }) => startMs)))
  const stopMs = median([...firsts, ...laters].map((times) => times.stopMs))
  const seconds = (ms: number) => fixed(ms / 1000, 2)
  const [first, later, bareFirst, bareLater] = starts as [number, number, number, number]
  const row = [
    seconds(first),
    seconds(later),
    seconds(stopMs),
    seconds(bareFirst),
    seconds(bareLater),
    ratio(bareLater / later),
  ]
  process.stdout.write(`  ${setting.kind}, cold start: ${row.join(' | ')}\n`)
  return [
    {
      title: `f · Cold start, ${databaseNames[setting.kind]}`,
      about:
        '`sotto serve --demo` on an empty database until the demo clinic is made and the server answers, then again after a clean stop. ' +
        'Beside: Node with the database’s own library, one `select 1`, and an HTTP server that listens; it makes no schema, no keys and no clinic.',
      tables: [
        {
          head: ['first start s', 'later start s', 'stop s', 'bare first s', 'bare later s', 'ratio of later starts'],
          rows: [row],
        },
      ],
    },
  ]
}

function start(args: readonly string[], env: Env) {
  const { PATH, HOME, TMPDIR } = process.env
  const own = { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }) }
  return spawn(process.execPath, args, { cwd: root, env: { ...own, ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
}

async function startAndStop(args: readonly string[], env: Env, isReady: RegExp): Promise<Times> {
  const begin = performance.now()
  const child = start(args, env)
  const exit = once(child, 'exit')
  let said = ''
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (isReady.test(said)) resolve()
    })
    void exit.then(() => reject(new Error(`It ended: ${said}`)))
  })
  const [url] = /http:\/\/[^/\s]+/.exec(said)!
  const answer = await fetch(`${url}/v1/limits`)
  await answer.text()
  const startMs = performance.now() - begin
  const stopping = performance.now()
  child.kill('SIGTERM')
  await exit
  return { startMs, stopMs: performance.now() - stopping }
}
