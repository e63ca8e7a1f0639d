import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig, withComposition } from '@sotto/server'
import { expect, test } from 'vitest'
import { makeDataFolder, runCli } from './run-cli.testing.ts'
import { warnOfMissingPage } from './serve.ts'

test('a page that is not built is told, with what builds it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sotto-page-'))
  expect(warnOfMissingPage(join(folder, 'dist'))).toContain('`npm run setup` builds it')
  expect(warnOfMissingPage(folder)).toContain(folder)
  await writeFile(join(folder, 'index.html'), '')
  expect(warnOfMissingPage(folder)).toBeUndefined()
  await rm(folder, { recursive: true })
})

test('a server whose demo cannot be made stops, and says why', { timeout: 120_000 }, async () => {
  await using folder = await makeDataFolder()
  await withComposition(loadConfig(folder.env), { mayCreateKeyring: true }, async ({ identity, ids }) => {
    const administrator = { login: 'ada@demo.example', displayName: 'Ada of the real clinic' }
    const origin = { requestId: ids.next<string>(), address: null }
    await identity.createTenant(origin, { slug: 'demo', name: 'Demo Street Clinic', administrator })
  })
  const { code, stderr } = await runCli(['serve', '--demo'], folder.env)
  expect(code).toBe(1)
  expect(stderr).toContain('There is a tenant demo')
})
