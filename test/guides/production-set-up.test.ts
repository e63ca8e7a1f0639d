/** @feature K4 D1 E1 */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { connect, signIn, signInByLink } from '@sotto/sdk'
import { loadConfig, openKeyring } from '@sotto/server'
import { startPostgresServer, startServerProcess, type PostgresServer } from '@sotto/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asAdmin } from '../../packages/testkit/src/postgres-server.ts'
import { makeDataFolder, runCli, type DataFolder } from '../../apps/cli/src/run-cli.testing.ts'
import { readBlocks, runShell, runTypeScript } from './guide.testing.ts'

// The guide, section by section, as its reader would go through it: the page's own SQL, commands and script.

const GUIDE = 'production-set-up.md'
const PASSWORD = 'seventeen quiet herons'
const administrator = { tenant: 'north-clinic', login: 'ada@north.example', password: PASSWORD }
const device = { deviceName: 'Ward tablet', refreshTokenIn: 'body' as const }
const LINK = /(\S+)\/#\/sign-in-link\/(\S+)/

describe('on PostgreSQL', () => {
  let cluster: PostgresServer
  let folder: DataFolder
  let env: Readonly<Record<string, string>>
  let shell: readonly string[]
  let link: string

  beforeAll(async () => {
    cluster = await startPostgresServer()
    folder = await makeDataFolder()
    shell = await readBlocks(GUIDE, 'sh')
    const backupDir = join(folder.path, 'backup')
    await mkdir(backupDir)
    env = {
      ...folder.env,
      DATABASE_URL: cluster.urlOf('sotto_server', 'sotto'),
      DATABASE_OWNER_URL: cluster.urlOf('sotto_migrator', 'sotto'),
      BACKUP_DIR: backupDir,
      NODE_ENV: 'production',
    }
  }, 120_000)

  afterAll(async () => {
    await cluster[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })

  test('section 2 makes two roles and a database', async () => {
    const [sql] = await readBlocks(GUIDE, 'sql')
    await runSql(cluster.adminUrl(), sql!)
  })

  test('before section 4 a server refuses to start, and doctor says what is missing', async () => {
    const doctor = await runCli(['doctor'], env)
    expect(doctor).toMatchObject({ code: 1, stdout: expect.stringContaining('WRONG There is no keyring') as string })
    expect(doctor.stdout).toContain('PostgreSQL 1')
    expect(await runCli(['serve'], env)).toMatchObject({ code: 1 })
  })

  test('section 4 makes keyring, schema and tenant, and prints a link', async () => {
    const init = await runShell(shell[0]!, env)
    expect(init.code).toBe(0)
    expect(init.stdout).toContain('Applied 0001_ground.sql')
    expect(init.stdout).toContain('Tenant north-clinic is ready.')
    link = LINK.exec(init.stdout)![2]!
    const doctor = await runShell(shell[2]!, env)
    expect(doctor.stdout).toContain('ok    The schema is up to date, and the keyring belongs to it')
    expect(doctor.code).toBe(0)
  })

  test('a second tenant of the same name is refused, and told how a lost link is renewed', async () => {
    const { code, stdout, stderr } = await runShell(shell[0]!, env)
    expect(code).toBe(1)
    expect(stdout).not.toMatch(LINK)
    expect(stderr).toContain('Another tenant has this short name')
    expect(stderr).toContain('sotto init --renew-link --tenant north-clinic')
  })

  test('section 4 renews the link, and nobody but an administrator gets one', async () => {
    // As the server's own role: it needs no owner of the database.
    const { DATABASE_OWNER_URL: _owner, ...serverEnv } = env
    const renewed = await runShell(shell[1]!, serverEnv)
    expect(renewed).toMatchObject({ code: 0, stderr: '' })
    const lost = link
    link = LINK.exec(renewed.stdout)![2]!
    expect(link).not.toBe(lost)
    await expectRefusedRenewals(serverEnv)
    await using server = await startServerProcess(serverEnv, ['serve'])
    const late = signInByLink({ url: server.url, token: lost, password: PASSWORD, ...device })
    await expect(late).rejects.toMatchObject({ code: 'identity/link-invalid' })
    expect(await server.stop()).toBe(0)
  })

  test('section 5 brings a lost keyring back', async () => {
    const keyring = env['SOTTO_KEYRING_DIR']!
    expect(await runShell(shell[3]!, env)).toMatchObject({ code: 0 })
    await rm(keyring, { recursive: true })
    expect(await runCli(['doctor'], env)).toMatchObject({ code: 1 })
    const migrate = await runCli(['migrate'], env)
    expect(migrate).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no keyring') as string })
    const back = await runShell(shell[4]!, env)
    expect(back.stdout).toContain('the keyring belongs to it')
    expect(back.code).toBe(0)
  })

  test('section 8: the administrator signs in by the link and makes a user, who signs in by hers', async () => {
    const { DATABASE_OWNER_URL: _owner, ...serverEnv } = env
    await using server = await startServerProcess(serverEnv, ['serve'])
    const [script] = await readBlocks(GUIDE, 'ts')
    const made = await runTypeScript('production-set-up', script!, [server.url, link, PASSWORD])
    expect(made).toMatchObject({ code: 0, stderr: '' })
    const [, url, token] = LINK.exec(made.stdout)!
    const alice = await signInByLink({ url: url!, token: token!, password: `${PASSWORD} too`, ...device })
    expect(alice.user).toMatchObject({ displayName: 'Alice Marsh, RN', role: 'clinician' })
    const again = signInByLink({ url: server.url, token: link, password: PASSWORD, ...device })
    await expect(again).rejects.toMatchObject({ code: 'identity/link-invalid' })
    expect((await signIn({ url: server.url, ...administrator, ...device })).user.role).toBe('administrator')
    expect(await server.stop()).toBe(0)
  })

  test('section 5 makes a restored database a new deployment, for which no older sync counts', async () => {
    const serverEnv = { ...env, DATABASE_OWNER_URL: '' }
    let before: string
    {
      await using server = await startServerProcess(serverEnv, ['serve'])
      before = (await syncAs(server.url)).token
      expect(await syncAs(server.url, before)).toMatchObject({ changed: [] })
    }
    await runSql(env['DATABASE_OWNER_URL']!, (await readBlocks(GUIDE, 'sql'))[1]!)
    await using server = await startServerProcess(serverEnv, ['serve'])
    await expect(syncAs(server.url, before)).rejects.toMatchObject({ code: 'conversations/sync-expired' })
    expect(await syncAs(server.url)).toMatchObject({ changed: [] })
  })

  test('section 9 shows what was done, and that it was looked at', async () => {
    const { code, stdout } = await runShell(shell[5]!, env)
    expect(code).toBe(0)
    for (const action of [
      'tenant.create',
      'sign-in-link.create',
      'sign-in-link.redeem',
      'user.create',
      'session.create',
    ])
      expect(stdout).toContain(action)
    expect(stdout).toContain('"code":"link-unknown-used-or-expired"')
    expect(stdout).toContain('deployment.start')
    const second = await runCli(['audit', 'list', '--tenant', 'north-clinic', '--action', 'audit-event.list'], env)
    expect(second.stdout.trim().split('\n').length).toBeGreaterThanOrEqual(2)
    const nobody = await runCli(['audit', 'list', '--tenant', 'south-clinic'], env)
    expect(nobody).toMatchObject({ code: 1, stderr: 'sotto: There is no tenant south-clinic.\n' })
  })

  test('section 10 finds nothing to migrate, and says so', async () => {
    const { code, stdout } = await runShell(shell[6]!, env)
    expect(code).toBe(0)
    expect(stdout.match(/The schema is up to date\./g)).toHaveLength(2)
  })

  test('a server whose keyring belongs to another database says so', async () => {
    await using other = await makeDataFolder()
    await openKeyring(loadConfig(other.env), { mayCreate: true })
    const wrong = { ...env, SOTTO_KEYRING_DIR: other.env['SOTTO_KEYRING_DIR']! }
    const doctor = await runCli(['doctor'], wrong)
    expect(doctor).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('does not belong to this database') as string,
    })
    for (const command of ['serve', 'migrate']) {
      const { code, stderr } = await runCli([command], wrong)
      expect(code).toBe(1)
      expect(stderr).toContain('does not belong to this database')
    }
    expect(await runCli(['doctor'], env)).toMatchObject({ code: 0 })
  })
})

describe('on the embedded database', () => {
  let folder: DataFolder
  let link: string

  beforeAll(async () => {
    folder = await makeDataFolder()
  })
  afterAll(() => folder[Symbol.asyncDispose]())

  test('init, and another link in place of the lost one', async () => {
    const [first, renew] = await readBlocks(GUIDE, 'sh')
    const init = await runShell(first!, folder.env)
    expect(init.code).toBe(0)
    const renewed = await runShell(renew!, folder.env)
    expect(renewed).toMatchObject({ code: 0, stderr: '' })
    link = LINK.exec(renewed.stdout)![2]!
    expect(link).not.toBe(LINK.exec(init.stdout)![2])
    await expectRefusedRenewals(folder.env)
  })

  test('an administrator, a user', async () => {
    await using server = await startServerProcess(folder.env, ['serve'])
    const [script] = await readBlocks(GUIDE, 'ts')
    const made = await runTypeScript('embedded-set-up', script!, [server.url, link, PASSWORD])
    expect(made).toMatchObject({ code: 0, stderr: '' })
    expect(made.stdout).toMatch(LINK)
    expect(await server.stop()).toBe(0)
    const list = await runCli(['audit', 'list', '--tenant', 'north-clinic'], folder.env)
    expect(list.stdout).toContain('user.create')
  })
})

/** Asked for nobody who is an administrator there, the command ends with 1, says why and prints no link. */
async function expectRefusedRenewals(env: Readonly<Record<string, string>>): Promise<void> {
  const refusals = [
    [['--tenant', 'south-clinic'], 'There is no tenant south-clinic.'],
    [['--tenant', 'north-clinic', '--admin-login', 'bob@north.example'], 'Nobody at north-clinic signs in as bob'],
  ] as const
  for (const [options, reason] of refusals) {
    const { code, stdout, stderr } = await runCli(['init', '--renew-link', ...options], env)
    expect(code).toBe(1)
    expect(stderr).toContain(`sotto: ${reason}`)
    expect(stdout).toBe('')
  }
}

async function syncAs(url: string, token?: string): Promise<{ readonly token: string }> {
  const sotto = connect(await signIn({ url, ...administrator, ...device }))
  try {
    return await sotto.api.syncConversations(token === undefined ? {} : { token })
  } finally {
    await sotto.close()
  }
}

/** One statement a line, as the guide has them, in one session. */
function runSql(url: string, sql: string): Promise<void> {
  return asAdmin(url, async (client) => {
    for (const statement of sql.trim().split('\n')) await client.query(statement)
  })
}
