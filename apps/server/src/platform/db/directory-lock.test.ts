import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../time/clock.ts'
import { lockDirectory } from './directory-lock.ts'

let directory: string
const children: ChildProcess[] = []
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sotto-lock-'))
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await rm(directory, { recursive: true, force: true })
})

/** Another process that takes the lock and says how that went: `locked`, or the refusal. */
async function lockElsewhere(path = directory): Promise<{ child: ChildProcess; answer: string }> {
  const source = `
    import { lockDirectory } from ${JSON.stringify(new URL('./directory-lock.ts', import.meta.url).href)}
    import { systemClock } from ${JSON.stringify(new URL('../time/clock.ts', import.meta.url).href)}
    try {
      globalThis.lock = lockDirectory(${JSON.stringify(path)}, systemClock)
      console.log('locked')
      setInterval(() => {}, 1000)
    } catch (error) {
      console.log(error.message)
    }`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  let complaints = ''
  child.stderr!.on('data', (text) => (complaints += String(text)))
  const [answer] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string]
  expect(complaints).toBe('')
  return { child, answer }
}

test('one process has the folder; the other is told which folder, who has it and what to do', async () => {
  const { child, answer } = await lockElsewhere()
  expect(answer).toBe('locked')
  expect(() => lockDirectory(directory, systemClock)).toThrow(directory)
  expect(() => lockDirectory(directory, systemClock)).toThrow(`process ${child.pid}`)
  expect(() => lockDirectory(directory, systemClock)).toThrow('SOTTO_DATA_DIR')
})

test('a killed holder leaves the folder free at once, ten times in a row', async () => {
  for (let round = 0; round < 10; round++) {
    using held = lockDirectory(directory, systemClock)
    expect(held.directory).toBe(directory)
    held[Symbol.dispose]()
    const { child, answer } = await lockElsewhere()
    expect(answer).toBe('locked')
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  lockDirectory(directory, systemClock)[Symbol.dispose]()
})

test('the same process is refused too, and its refusal does not open the lock to others', async () => {
  using held = lockDirectory(directory, systemClock)
  for (let round = 0; round < 3; round++) {
    expect(() => lockDirectory(directory, systemClock)).toThrow(`process ${process.pid}`)
  }
  expect((await lockElsewhere()).answer).toContain(`process ${process.pid}`)
  expect(held.directory).toBe(directory)
})

test('another name of the same folder is the same folder', async () => {
  const alias = `${directory}-alias`
  await symlink(directory, alias)
  try {
    using held = lockDirectory(directory, systemClock)
    expect((await lockElsewhere(alias)).answer).toContain('is in use')
    expect(held.directory).toBe(directory)
  } finally {
    await rm(alias)
  }
})

test('of many that start at the same moment exactly one gets it', async () => {
  const answers = await Promise.all(Array.from({ length: 5 }, () => lockElsewhere()))
  expect(answers.filter(({ answer }) => answer === 'locked')).toHaveLength(1)
})

test('a new folder is for its owner only', async () => {
  const fresh = join(directory, 'new', 'folder')
  using held = lockDirectory(fresh, systemClock)
  expect((await stat(held.directory)).mode & 0o777).toBe(0o700)
})
