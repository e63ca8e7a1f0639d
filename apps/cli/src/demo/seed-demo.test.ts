import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Composition } from '@sotto/server'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../packages/testkit/src/databases.ts'
import { startTestServer, type TestServer } from '../../../../packages/testkit/src/test-server.ts'
import { demoConversations, demoPeople } from './clinic.ts'
import { signIn } from './make-clinic.ts'
import { seedDemo } from './seed-demo.ts'

let server: TestServer
let dataDir: string

beforeEach(async () => {
  server = await startTestServer(databaseKinds.at(-1)!)
  dataDir = await mkdtemp(join(tmpdir(), 'sotto-demo-'))
}, 60_000)

afterEach(async () => {
  await server[Symbol.asyncDispose]()
  await rm(dataDir, { recursive: true })
})

const seed = (composition = server.composition, folder = dataDir) =>
  seedDemo(composition, { dataDir: folder, onProgress: () => undefined })

type Operations = Readonly<Record<string, (...args: readonly unknown[]) => Promise<unknown>>>

/** Ends, as a killed process would, after the operation of this number has happened and before its answer is used. */
function dyingAfter(last: number): Composition {
  let count = 0
  const mortal = <T extends object>(operations: T): T =>
    new Proxy(operations, {
      get:
        (target, name) =>
        async (...args: readonly unknown[]) => {
          const answer = await (target as Operations)[name as string]!(...args)
          if (name !== 'authenticate' && name !== 'findTenantId' && ++count >= last) throw new Error('killed')
          return answer
        },
    })
  const { operations, identity } = server.composition
  return { ...server.composition, operations: mortal(operations), identity: mortal(identity) }
}

/** Everybody can sign in, and every conversation has exactly its texts. */
async function expectWhole(): Promise<void> {
  const { composition } = server
  const { operations } = composition
  const admin = await signIn(composition, 'ada.admin')
  const { items: users } = await operations.listUsers(admin, { limit: 200 })
  expect(users.map(({ displayName }) => displayName).toSorted()).toEqual(
    ['Ada Quill', ...demoPeople.map(({ name }) => name)].toSorted(),
  )
  expect((await operations.listTeams(admin, { limit: 200 })).items).toHaveLength(2)
  for (const { members, kind, title, says } of demoConversations) {
    for (const login of members) {
      const ctx = await signIn(composition, login)
      const { items } = await operations.listConversations(ctx, { limit: 200 })
      const found = items.filter((one) => one.kind === kind && one.title === title)
      expect(found).toHaveLength(1)
      const range = await operations.listEntries(ctx, { conversationId: found[0]!.conversationId, limit: 200 })
      const texts = range.items.flatMap(({ payload }) => (payload.type === 'text' ? [payload.text] : []))
      expect(texts).toEqual(says.map(([, text]) => text))
    }
  }
}

describe('the demo clinic', { timeout: 120_000 }, () => {
  test('is made once, and says for which deployment', async () => {
    const demo = await seed()
    expect(demo).toMatchObject({ tenant: 'demo', deploymentId: server.composition.deploymentId })
    expect(JSON.parse(await readFile(join(dataDir, 'demo.json'), 'utf8'))).toEqual(demo)
    expect(await seed(dyingAfter(1))).toEqual(demo)
    await expectWhole()
  })

  test('is completed under the same name, wherever the making was interrupted, again and again', async () => {
    let interruptions = 0
    for (let last = 1; ; last += 3) {
      const isDone = await seed(dyingAfter(last)).then(
        () => true,
        (error: Error) => {
          expect(error.message).toBe('killed')
          return false
        },
      )
      if (isDone) break
      interruptions++
    }
    expect(interruptions).toBeGreaterThan(15)
    await expectWhole()
  })

  test('of another deployment is not taken for this one', async () => {
    const other = { deploymentId: 'another', tenant: 'demo', password: 'none', people: [] }
    await writeFile(join(dataDir, 'demo.json'), JSON.stringify(other))
    expect((await seed()).people).toHaveLength(16)
    await expectWhole()
  })

  test('is found again from another data folder, or when demo.json is damaged', async () => {
    const demo = await seed()
    await writeFile(join(dataDir, 'demo.json'), '{"tenant":')
    expect(await seed()).toEqual(demo)
    expect(await seed(server.composition, join(dataDir, 'other'))).toEqual(demo)
  })

  test('is not made in a tenant of real people that has its name', async () => {
    const { identity } = server.composition
    const origin = { requestId: 'test', address: null }
    const administrator = { login: 'ada.admin', displayName: 'Ada of the real clinic' }
    await identity.createTenant(origin, { slug: 'demo', name: 'Demo Street Clinic', administrator })
    await expect(seed()).rejects.toThrow('so it is left alone')
    await expect(signIn(server.composition, 'ada.admin')).rejects.toMatchObject({ code: 'identity/sign-in-failed' })
    await expect(readFile(join(dataDir, 'demo.json'))).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
