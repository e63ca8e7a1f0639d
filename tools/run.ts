import { spawn } from 'node:child_process'
import { root } from './suites.ts'

export interface Ran {
  readonly ok: boolean
  /** What it printed, both streams in the order of arrival. Empty when it was shown as it came. */
  readonly output: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Show the output as it comes instead of keeping it. */
  readonly show?: boolean
}

/** Runs one of the project's own tools under the Node that runs this. `script` is a path from the root. */
export function runNode(script: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((settle) => {
    const child = spawn(process.execPath, [script, ...args], {
      cwd: root,
      env: { ...process.env, ...options.env },
      stdio: options.show === true ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const keep = (bytes: Buffer): void => void (output += bytes.toString('utf8'))
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    child.on('error', (error) => settle({ ok: false, output: `${output}${error.message}\n` }))
    child.on('close', (code) => settle({ ok: code === 0, output }))
  })
}
