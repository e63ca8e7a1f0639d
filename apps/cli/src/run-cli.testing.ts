import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { childEnvironment } from '../../../packages/testkit/src/child-environment.ts'

const main = fileURLToPath(new URL('./main.ts', import.meta.url))

export interface CliRun {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs one command as an operator would: a process of its own, with these settings and no others. */
export function runCli(args: readonly string[], env: Readonly<Record<string, string>>): Promise<CliRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], {
      env: { ...childEnvironment(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const written = { stdout: '', stderr: '' }
    child.stdout.on('data', (chunk: Buffer) => (written.stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (written.stderr += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, ...written }))
  })
}

export interface DataFolder extends AsyncDisposable {
  readonly path: string
  /** Settings that keep everything inside of it. */
  readonly env: Readonly<Record<string, string>>
}

export async function makeDataFolder(): Promise<DataFolder> {
  const path = await mkdtemp(join(tmpdir(), 'sotto-cli-'))
  return {
    path,
    env: { SOTTO_DATA_DIR: join(path, 'data'), SOTTO_KEYRING_DIR: join(path, 'keyring'), SOTTO_PORT: '0' },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  }
}
