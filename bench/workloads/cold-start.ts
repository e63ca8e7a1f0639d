/** Workload f: from the command to a server that answers, as people type it. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fixed, median } from '../lib/numbers.ts'
import type { Section } from '../lib/report.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

export async function measureColdStart(isQuick: boolean): Promise<readonly Section[]> {
  const firsts: number[] = []
  const laters: number[] = []
  const stops: number[] = []
  for (let round = 0; round < (isQuick ? 1 : 2); round++) {
    const folder = await mkdtemp(join(tmpdir(), 'sotto-bench-start-'))
    for (const times of [firsts, laters]) {
      const { startMs, stopMs } = await startAndStop(join(folder, 'data'))
      times.push(startMs)
      stops.push(stopMs)
    }
    await rm(folder, { recursive: true, force: true })
  }
  const seconds = (times: readonly number[]) => fixed(median(times) / 1000, 2)
  const row = [seconds(firsts), seconds(laters), seconds(stops)]
  process.stdout.write(`  cold start: ${row.join(' | ')}\n`)
  return [
    {
      title: 'f · Cold start, embedded',
      about:
        '`sotto serve --demo` on a fresh folder until the demo clinic is made and the server answers, then again on the same folder after a clean stop.',
      tables: [{ head: ['first start s', 'later start s', 'stop s'], rows: [row] }],
    },
  ]
}

async function startAndStop(dataDir: string): Promise<{ readonly startMs: number; readonly stopMs: number }> {
  const begin = performance.now()
  const child = spawn(process.execPath, ['apps/cli/src/main.ts', 'serve', '--demo'], {
    cwd: root,
    env: { ...process.env, SOTTO_PORT: '0', SOTTO_DATA_DIR: dataDir, SOTTO_LOG_LEVEL: 'error' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exit = once(child, 'exit')
  let said = ''
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (/password/i.test(said)) resolve()
    })
    void exit.then(() => reject(new Error(`The server ended: ${said}`)))
  })
  const [url] = /http:\/\/\S+/.exec(said)!
  const answer = await fetch(`${url}/v1/limits`)
  await answer.text()
  const startMs = performance.now() - begin
  const stopping = performance.now()
  child.kill('SIGTERM')
  await exit
  return { startMs, stopMs: performance.now() - stopping }
}
