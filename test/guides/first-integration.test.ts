/** @feature K1 K2 */
import { readDemo, startServerProcess, type ServerProcess } from '@sotto/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeDataFolder, type DataFolder } from '../../apps/cli/src/run-cli.testing.ts'
import { readBlocks, runTypeScript } from './guide.testing.ts'

const GUIDE = 'first-integration.md'

let folder: DataFolder
let server: ServerProcess

beforeAll(async () => {
  folder = await makeDataFolder()
  server = await startServerProcess(folder.env)
}, 120_000)

afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

/** The page's own words, but for the port. */
async function runBlock(index: number) {
  const block = (await readBlocks(GUIDE, 'ts'))[index]!
  expect(block).toContain("'http://127.0.0.1:8080'")
  return runTypeScript(`first-integration-${index}`, block.replace('http://127.0.0.1:8080', server.url))
}

test('the first program has 15 lines, and its message is durable', async () => {
  const [block] = await readBlocks(GUIDE, 'ts')
  expect(block!.trim().split('\n')).toHaveLength(15)
  const { tenant, password, people } = await readDemo(folder.env['SOTTO_DATA_DIR']!)
  for (const word of [tenant, password]) expect(block).toContain(`'${word}'`)
  expect(people.map(({ login }) => login)).toContain('alice.nurse')
  const { code, stdout, stderr } = await runBlock(0)
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^durable as entry \d+\n$/)
  expect(code).toBe(0)
})

test('the second one receives it', async () => {
  const { code, stdout, stderr } = await runBlock(1)
  expect(stderr).toBe('')
  expect(stdout).toContain('Hello Bob, this was written by a program.')
  expect(code).toBe(0)
})

test('the third one is told what went wrong', async () => {
  expect(await runBlock(2)).toEqual({ code: 0, stdout: 'identity/sign-in-failed never\n', stderr: '' })
})
