/** The server as operators run it: a process of its own, that can be killed without a word and started again. */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { limitSetting } from '@sotto/server'
import { childEnvironment } from './child-environment.ts'

const main = fileURLToPath(new URL('../../../apps/cli/src/main.ts', import.meta.url))
const START_MS_MAX = 90_000

export interface ServerProcess extends AsyncDisposable {
  readonly url: string
  readonly pid: number
  /** SIGKILL: nothing is flushed, closed or told. */
  kill(): Promise<void>
  /** SIGTERM, when not told otherwise: drains. @returns the exit code */
  stop(signal?: 'SIGTERM' | 'SIGINT'): Promise<number | null>
  /** What it printed so far, both streams. */
  output(): string
}

export interface DemoSignIns {
  readonly tenant: string
  readonly password: string
  readonly people: readonly { readonly login: string; readonly name: string; readonly role: string }[]
}

/** Limits that a load would meet at once. */
export const loadLimits: Readonly<Record<string, string>> = Object.fromEntries(
  (
    [
      'requestsPerSecond',
      'requestsBurst',
      'socketCommandsPerSecond',
      'socketCommandsBurst',
      'signInsPerAddressPerSecond',
      'signInsPerAddressBurst',
      'socketUnansweredMax',
    ] as const
  ).map((name) => [limitSetting(name), '100000']),
)

/** Starts `sotto serve --demo` and resolves when the demo clinic is there. */
export async function startServerProcess(
  env: Readonly<Record<string, string>>,
  args: readonly string[] = ['serve', '--demo'],
): Promise<ServerProcess> {
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...childEnvironment(), SOTTO_PORT: '0', SOTTO_LOG_LEVEL: 'warn', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const exited = once(child, 'exit')
  const url = await waitForUrl(child, () => output)
  return {
    url,
    pid: child.pid!,
    output: () => output,
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      await exited
      return child.exitCode
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await exited
    },
  }
}

async function waitForUrl(child: ChildProcess, output: () => string): Promise<string> {
  const deadline = Date.now() + START_MS_MAX
  while (Date.now() < deadline) {
    const url = /running at (http:\S+)/.exec(output())?.[1]
    if (url !== undefined && output().includes('Ctrl-C drains')) return url
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`The server ended before it was ready:\n${output()}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  child.kill('SIGKILL')
  throw new Error(`The server was not ready after ${START_MS_MAX} ms:\n${output()}`)
}

/** The demo's sign-ins, from the data folder. */
export async function readDemo(dataDir: string): Promise<DemoSignIns> {
  return JSON.parse(await readFile(join(dataDir, 'demo.json'), 'utf8')) as DemoSignIns
}
