/** @feature J1 A3 */
import { readdir } from 'node:fs/promises'
import { connect, signIn, type Sotto } from '@sotto/sdk'
import { loadConfig, openKeyring } from '@sotto/server'
import { readDemo, startServerProcess, type ServerProcess } from '@sotto/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeDataFolder, runCli, type DataFolder } from '../../apps/cli/src/run-cli.testing.ts'

// What `npm start` runs, as a process of its own: started, refused a second time, killed, started again, stopped.

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

async function signInAs(login: string): Promise<Sotto> {
  const { tenant, password } = await readDemo(folder.env['SOTTO_DATA_DIR']!)
  const device = { deviceName: 'Ward tablet', refreshTokenIn: 'body' as const }
  const sotto = connect(await signIn({ url: server.url, tenant, login, password, ...device }))
  await sotto.ready
  return sotto
}

/** The conversation of the nurse and the patient, whose history the demo wrote. */
function careOf(sotto: Sotto) {
  const { items } = sotto.conversations.getSnapshot()
  return sotto.conversation(items.find(({ summary }) => summary.kind === 'direct')!.conversationId)
}

async function textsOf(sotto: Sotto): Promise<readonly string[]> {
  const { conversationId } = careOf(sotto)
  const { items } = await sotto.api.listEntries({ conversationId, limit: 200 })
  expect(items.map(({ seq }) => seq)).toEqual(items.map((_, index) => index + 1))
  return items.flatMap(({ payload }) => (payload.type === 'text' ? [payload.text] : []))
}

describe('sotto serve --demo', () => {
  test('prints where it is and who may sign in, and demo.json says the same', async () => {
    const demo = await readDemo(folder.env['SOTTO_DATA_DIR']!)
    expect(server.output()).toContain(`Sotto is running at ${server.url}`)
    expect(server.output()).toContain(`${server.url}/reference`)
    for (const { login } of demo.people) expect(server.output()).toContain(login)
    expect(Object.groupBy(demo.people, ({ role }) => role)).toMatchObject({
      administrator: { length: 1 },
      'compliance-officer': { length: 1 },
      clinician: { length: 6 },
      patient: { length: 8 },
    })
    const page = await fetch(`${server.url}/reference`)
    expect(page.status).toBe(200)
  })

  test('refuses a second start on its folder, and names the process that has it', async () => {
    const { code, stderr } = await runCli(['serve', '--demo'], folder.env)
    expect(code).toBe(1)
    expect(stderr).toContain(`in use by process ${server.pid}`)
    expect(stderr).toContain('SOTTO_DATA_DIR')
    const doctor = await runCli(['doctor'], folder.env)
    expect(doctor).toMatchObject({ code: 0, stdout: expect.stringContaining(`process ${server.pid}`) as string })
  })

  test('names the port that is in use, before it makes or opens anything', async () => {
    await using other = await makeDataFolder()
    const { port } = new URL(server.url)
    const { code, stderr } = await runCli(['serve', '--demo'], { ...other.env, SOTTO_PORT: port })
    expect(code).toBe(1)
    expect(stderr).toContain(`Port ${port} is in use`)
    expect(await readdir(other.path)).toEqual([])
  })

  test('killed without a word and started again, it has everything that it acknowledged', async () => {
    const sent = Array.from({ length: 20 }, (_, index) => `Weight on day ${index}: 82.${index} kg`)
    const alice = await signInAs('alice.nurse')
    const before = await textsOf(alice)
    for (const text of sent) await (await careOf(alice).send(text)).acknowledged
    await server.kill()
    await alice.close()
    server = await startServerProcess(folder.env)
    await using bob = await signInAs('bob.patient')
    expect(await textsOf(bob)).toEqual([...before, ...sent])
    expect(server.output()).not.toContain('Making the demo clinic')
  })

  test('drains at Ctrl-C with people connected, ends with 0, and starts again on the same folder', async () => {
    const alice = await signInAs('alice.nurse')
    const before = await textsOf(alice)
    expect(await server.stop('SIGINT')).toBe(0)
    expect(server.output()).toContain('Stopped.')
    await alice.close()
    server = await startServerProcess(folder.env)
    await using again = await signInAs('alice.nurse')
    expect(await textsOf(again)).toEqual(before)
    expect(await server.stop('SIGTERM')).toBe(0)
  })

  test('drains at one Ctrl-C that reaches it twice, as it does under npm with bash', async () => {
    server = await startServerProcess(folder.env)
    const alice = await signInAs('alice.nurse')
    const draining = Promise.withResolvers<void>()
    const watch = setInterval(() => server.output().includes('Draining') && draining.resolve(), 1)
    const stopped = server.stop('SIGINT')
    await draining.promise
    clearInterval(watch)
    expect(await Promise.all([server.stop('SIGINT'), stopped])).toEqual([0, 0])
    expect(server.output()).toContain('Stopped.')
    await alice.close()
  })

  test('opens nothing with a keyring of another deployment', async () => {
    await using other = await makeDataFolder()
    await openKeyring(loadConfig(other.env), { mayCreate: true })
    const env = { ...folder.env, SOTTO_KEYRING_DIR: other.env['SOTTO_KEYRING_DIR']! }
    for (const command of [['serve'], ['doctor'], ['audit', 'list']]) {
      const { code, stdout, stderr } = await runCli(command, env)
      expect(code).toBe(1)
      expect(stdout + stderr).toContain('keyring does not open')
    }
    server = await startServerProcess(folder.env)
    expect(await server.stop()).toBe(0)
  })
})
