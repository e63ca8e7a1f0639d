import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { makeDataFolder, runCli } from './run-cli.testing.ts'

const administrator = ['--admin-login', 'ada@north.example', '--admin-name', 'Ada Quill']

describe('help', { timeout: 60_000 }, () => {
  test('names every command, and says where settings come from', async () => {
    const { code, stdout } = await runCli(['--help'], {})
    expect(code).toBe(0)
    for (const command of ['serve', 'init', 'migrate', 'seed', 'doctor', 'audit']) expect(stdout).toContain(command)
    expect(stdout).toContain('docs/reference/settings.md')
    expect(stdout).toMatch(/Exit codes: 0 done.+ 1 refused/s)
  })

  test('of a command names its options', async () => {
    const { code, stdout } = await runCli(['init', '--help'], {})
    expect(code).toBe(0)
    for (const option of ['--tenant', '--name', '--admin-login', '--admin-name', '--renew-link'])
      expect(stdout).toContain(option)
  })

  test('is offered when a command does not exist, and the exit code says so', async () => {
    const { code, stderr } = await runCli(['sevre'], {})
    expect(code).toBe(1)
    expect(stderr).toContain("unknown command 'sevre'")
    expect(stderr).toContain('sotto --help')
  })
})

describe('a command that cannot begin', { timeout: 60_000 }, () => {
  test('lists every wrong setting at once, and says which name was probably meant', async () => {
    await using folder = await makeDataFolder()
    const { code, stderr } = await runCli(['serve'], {
      ...folder.env,
      SOTTO_PROT: '8080',
      SOTTO_PORT: 'eighty',
      SOTTO_KEYRING_DIR: `${folder.path}/data/keyring`,
      DATABASE_URL: 'mysql://sotto:a-password@db/sotto',
      SOTTO_LIMIT_HEARTBEAT_MS: 'often',
    })
    expect(code).toBe(1)
    expect(stderr).toContain('SOTTO_PROT is not a setting of Sotto; is SOTTO_PORT meant?')
    expect(stderr).toContain('SOTTO_PORT is not a whole number from 0 to 65535')
    expect(stderr).toContain('SOTTO_KEYRING_DIR lies inside SOTTO_DATA_DIR')
    expect(stderr).toContain('DATABASE_URL is not a URL that begins with postgres://')
    expect(stderr).toContain('SOTTO_LIMIT_HEARTBEAT_MS is not a whole number from 1000 to 120000 (ms)')
    expect(stderr).not.toContain('a-password')
    expect(stderr).not.toMatch(/^\s+at /m)
    expect(existsSync(`${folder.path}/data`)).toBe(false)
  })

  test('says what makes a first tenant when there is nothing yet', async () => {
    await using folder = await makeDataFolder()
    const { code, stderr } = await runCli(['serve'], folder.env)
    expect(code).toBe(1)
    expect(stderr).toContain('sotto init')
    expect(existsSync(`${folder.path}/data`)).toBe(false)
  })

  test('makes no demo where real people may be', async () => {
    await using folder = await makeDataFolder()
    for (const args of [['serve', '--demo'], ['seed']]) {
      const { code, stderr } = await runCli(args, { ...folder.env, NODE_ENV: 'production' })
      expect(code).toBe(1)
      expect(stderr).toContain('published passwords')
    }
    expect(existsSync(`${folder.path}/data`)).toBe(false)
  })

  test('tells all wrong options of init before anything is made', async () => {
    await using folder = await makeDataFolder()
    const options = ['--tenant', 'North Clinic', '--name', 'North Clinic', '--admin-login', 'a b', '--admin-name', ' ']
    const { code, stderr } = await runCli(['init', ...options], folder.env)
    expect(code).toBe(1)
    expect(stderr).toContain('--tenant: lowercase letters, digits and hyphens')
    expect(stderr).toContain('--admin-login: no spaces')
    expect(stderr).toContain('--admin-name')
    expect(existsSync(folder.env['SOTTO_KEYRING_DIR']!)).toBe(false)
  })

  test('tells what init lacks, and what it does not take for another link', async () => {
    await using folder = await makeDataFolder()
    const lacking = await runCli(['init', '--tenant', 'north'], folder.env)
    expect(lacking.code).toBe(1)
    for (const option of ['--name', '--admin-login', '--admin-name'])
      expect(lacking.stderr).toContain(`${option}: is needed`)
    const both = await runCli(['init', '--renew-link', '--tenant', 'north', '--name', 'North'], folder.env)
    expect(both).toMatchObject({ code: 1, stderr: expect.stringContaining('--renew-link takes --tenant') as string })
    const wrong = await runCli(['init', '--renew-link', '--tenant', 'North Clinic', '--admin-login', 'a b'], folder.env)
    expect(wrong.stderr).toContain('--tenant: lowercase letters, digits and hyphens')
    expect(wrong.stderr).toContain('--admin-login: no spaces')
    const nothing = await runCli(['init', '--renew-link', '--tenant', 'north'], folder.env)
    expect(nothing).toMatchObject({ code: 1, stderr: expect.stringContaining('There is nothing at') as string })
    expect(existsSync(folder.env['SOTTO_KEYRING_DIR']!)).toBe(false)
  })

  test('names the database that cannot be reached, and never its password', async () => {
    await using folder = await makeDataFolder()
    const database = { DATABASE_URL: 'postgres://sotto@127.0.0.1:1/sotto' }
    const owner = { DATABASE_OWNER_URL: 'postgres://owner:a-password@127.0.0.1:1/sotto' }
    const options = ['--tenant', 'north', '--name', 'North', ...administrator]
    for (const args of [['migrate'], ['init', ...options]]) {
      const { code, stderr } = await runCli(args, { ...folder.env, ...database, ...owner })
      expect(code).toBe(1)
      expect(stderr).toContain('DATABASE_OWNER_URL leads to no database')
      expect(stderr).not.toContain('a-password')
    }
    const without = await runCli(['migrate'], { ...folder.env, ...database })
    expect(without.stderr).toContain('DATABASE_OWNER_URL is not set')
  })

  test('migrates nothing that migrates itself', async () => {
    await using folder = await makeDataFolder()
    const { code, stderr } = await runCli(['migrate'], folder.env)
    expect(code).toBe(1)
    expect(stderr).toContain('migrates itself')
  })

  test('asks the audit trail only for what there can be', async () => {
    await using folder = await makeDataFolder()
    const options = ['--limit', 'many', '--action', 'message.sned', '--outcome', 'lost']
    const { code, stderr } = await runCli(['audit', 'list', ...options], folder.env)
    expect(code).toBe(1)
    expect(stderr).toContain('--limit is a whole number from 1 to 10000')
    expect(stderr).toContain('--action message.sned is none that Sotto records')
    expect(stderr).toContain('--outcome is one of success, refused, failed')
    const zero = await runCli(['audit', 'list', '--limit', '0'], folder.env)
    expect(zero.stderr).toContain('--limit is a whole number')
  })
})

test('doctor says what is missing, and that it is, by its exit code', { timeout: 60_000 }, async () => {
  await using folder = await makeDataFolder()
  const { code, stdout } = await runCli(['doctor'], { ...folder.env, SOTTO_HOST: '0.0.0.0' })
  expect(code).toBe(1)
  expect(stdout).toContain('WRONG There is no keyring')
  expect(stdout).toContain('sotto init makes one')
  expect(stdout).toContain('WRONG Listens on 0.0.0.0 without TLS in front')
  expect(stdout).toContain('not made yet')
})
