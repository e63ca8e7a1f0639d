import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startTestServer, TEST_PASSWORD } from '@sotto/testkit'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { beforeAll, afterAll, expect, test } from 'vitest'
import { npm, packSdk } from './tools/pack.ts'

const run = promisify(execFile)
const tsc = join(import.meta.dirname, '../../node_modules/typescript/bin/tsc')
/** Compilers and npm, on a machine that does other things too. */
const SLOW = { timeout: 180_000 }
let folder: string
let app: string
let packed: Awaited<ReturnType<typeof packSdk>>

/** An app of somebody else: an empty folder, the tarballs, nothing of this repository. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sotto-packed-'))
  packed = await packSdk(folder)
  app = join(folder, 'app')
  await mkdir(app)
  await writeFile(join(app, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module' }))
  const tarballs = packed.map(({ tarball }) => tarball)
  await npm(['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', ...tarballs], app)
}, 180_000)
afterAll(async () => await rm(folder, { recursive: true, force: true }))

test('the packed packages are what every bundler and runtime expects', SLOW, async () => {
  for (const { folder: pkgDir, name } of packed) {
    const { messages, pkg } = await publint({ pkgDir, strict: true })
    expect(messages.map((message) => `${name}: ${formatMessage(message, pkg)}`)).toEqual([])
  }
})

test('an app that installed them sends and receives under plain Node, by a real server', SLOW, async () => {
  await using server = await startTestServer('pglite')
  const clinic = await server.createClinic()
  await writeFile(
    join(app, 'app.js'),
    `import { connect, signIn } from '@sotto/sdk'
     import { fileStorage } from '@sotto/sdk/node'
     const [url, tenant, password, ...logins] = process.argv.slice(2)
     const enter = async (login) => {
       const device = { deviceName: 'App', refreshTokenIn: 'body' }
       const { userId, getToken } = await signIn({ url, tenant, login, password, ...device })
       const sotto = connect({ url, userId, getToken, storage: fileStorage({ directory: 'outbox' }) })
       await sotto.ready
       return sotto
     }
     const [alice, bob] = await Promise.all(logins.map(enter))
     const { conversationId } = await alice.conversations.create({ kind: 'group', memberIds: [bob.userId] })
     const received = new Promise((resolve) => {
       const conversation = bob.conversation(conversationId)
       conversation.subscribe(() => {
         const { items } = conversation.getSnapshot()
         const texts = items.flatMap(({ type, entry }) => (type === 'entry' ? (entry.payload.text ?? []) : []))
         if (texts.length > 0) resolve(texts)
       })
     })
     const { acknowledged } = await alice.conversation(conversationId).send('From the tarball')
     console.log(JSON.stringify({ sent: (await acknowledged).seq, received: await received }))
     await Promise.all([alice.close(), bob.close()])`,
  )
  const people = [clinic.alice.login, clinic.bob.login]
  const { stdout } = await run(process.execPath, ['app.js', server.url, clinic.slug, TEST_PASSWORD, ...people], {
    cwd: app,
  })
  expect(JSON.parse(stdout)).toEqual({ sent: 2, received: ['From the tarball'] })
})

test('a TypeScript app sees every type, in strict mode and without skipping the declarations', SLOW, async () => {
  await writeFile(
    join(app, 'app.ts'),
    `import { connect, SottoProblem, type ConversationSnapshot, type Entry } from '@sotto/sdk'
     const sotto = connect({ url: 'https://chat.example.org', getToken: async () => 'token' })
     const users = await sotto.api.listUsers({ limit: 10, role: 'clinician' })
     const name: string = users.items[0]!.displayName
     const snapshot: ConversationSnapshot = sotto.conversation(name).getSnapshot()
     const entries: readonly Entry[] = snapshot.items.flatMap((item) => (item.type === 'entry' ? [item.entry] : []))
     const { acknowledged } = await sotto.conversation('id').send({ v: 1, type: 'text', text: 'Hello' }, { priority: 'urgent' })
     const seq: number = (await acknowledged.catch((error: unknown) => { throw error as SottoProblem })).seq
     // @ts-expect-error a role that does not exist
     await sotto.api.listUsers({ role: 'king' })
     // @ts-expect-error the path parameter is missing
     await sotto.api.getUser({})
     export { entries, seq }`,
  )
  await symlink(join(import.meta.dirname, '../../node_modules/@types'), join(app, 'node_modules/@types'))
  const options = [
    '--strict',
    '--noEmit',
    '--module',
    'nodenext',
    '--target',
    'es2024',
    '--lib',
    'esnext,dom',
    '--types',
    'node',
  ]
  const checked = run(process.execPath, [tsc, ...options, 'app.ts'], { cwd: app })
  await expect(checked.catch((error: { stdout: string }) => error.stdout)).resolves.toMatchObject({ stdout: '' })
})
