import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { childEnvironment } from '@sotto/testkit'
import { codeBlocks } from '../../tools/docs.ts'
import { root } from '../../tools/suites.ts'

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** The fenced blocks of a guide in one language, in the order of the page. */
export async function readBlocks(guide: string, language: string): Promise<readonly string[]> {
  const page = await readFile(join(root, 'docs/guides', guide), 'utf8')
  return codeBlocks(page, [language]).map(({ code }) => code)
}

/** Runs a block of TypeScript as its reader would: as a file in the checkout. */
export async function runTypeScript(name: string, code: string, args: readonly string[] = []): Promise<Ran> {
  const folder = join(root, '.cache/guides')
  await mkdir(folder, { recursive: true })
  const file = join(folder, `${name}-${process.pid}.ts`)
  await writeFile(file, code)
  return run(process.execPath, [file, ...args], {})
}

/** Runs a block of shell commands with `sotto` on the path; the first that fails ends it. */
export function runShell(code: string, env: Readonly<Record<string, string>>): Promise<Ran> {
  const path = `${join(root, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}`
  return run('sh', ['-e', '-c', code], { PATH: path, ...env })
}

function run(file: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ran> {
  const options = { cwd: root, env: { ...childEnvironment(), ...env } }
  return new Promise((resolve) => {
    execFile(file, [...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
      resolve({ code, stdout, stderr })
    })
  })
}
