/** @feature A3 J1 */
import { cp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ConversationId } from '@sotto/protocol'
import {
  databaseKinds,
  loadLimits,
  mountSmallDisk,
  startPostgresServer,
  startTestServer,
  testEnvironment,
  TEST_PASSWORD,
  whyNoSmallDisk,
  type Clinic,
  type DemoSignIns,
  type SmallDisk,
  type TestServer,
} from '@sotto/testkit'
import { describe, expect, test } from 'vitest'
import type { Embedded } from '../../apps/server/src/platform/db/embedded.ts'
import { asAdmin } from '../../packages/testkit/src/postgres-server.ts'
import { checkHistory } from './check-history.ts'
import { ask, unavailable } from './outage.ts'
import { countRefusals, newEntryId, progress, startSender } from './senders.ts'

const ROUNDS = process.env['SOTTO_TEST_LONG'] === '1' ? 10 : 2
const PEOPLE = ['alice', 'bob', 'grace', 'carmen'] as const
const UNAVAILABLE = 'platform/unavailable'
/** More files of the write-ahead log than a database puts by. */
const LOG_FILES = 20

interface Scene {
  readonly disk: SmallDisk
  readonly server: TestServer
  /** Begins so many new files of the write-ahead log that there is no room for one of them. */
  useUpLog(): Promise<unknown>
  /** What whoever runs the database does when there is room again: nothing, or what a service manager does. */
  restart(): Promise<unknown>
}

describe.skipIf(whyNoSmallDisk() !== undefined)('a disk that is full', () => {
  test.runIf(databaseKinds.includes('pglite'))(
    'ends the embedded database, which is back by itself when there is room',
    async ({ task }) => {
      await using disk = await mountSmallDisk(192)
      const dataDir = join(disk.path, 'data')
      const template = process.env[testEnvironment.embeddedTemplate]!
      await cp(join(template, 'database'), join(dataDir, 'database'), { recursive: true })
      await using server = await startTestServer('pglite', { env: { ...loadLimits, SOTTO_DATA_DIR: dataDir } })
      const db = server.composition.db as Embedded
      const counts = await fillAgainAndAgain({
        disk,
        server,
        useUpLog: () => switchLog((sql) => db.ownerQuery(sql)),
        restart: async () => undefined,
      })
      Object.assign(task.meta, { counts })
    },
  )

  test.runIf(databaseKinds.includes('postgres'))(
    'leaves PostgreSQL without room for its tables; it goes on when there is room',
    async ({ task }) => {
      await using disk = await mountSmallDisk(160)
      await using postgres = await startPostgresServer([], { parent: disk.path, walParent: tmpdir() })
      await using server = await startTestServer('postgres', { env: loadLimits, postgres })
      const nothing = async () => undefined
      const counts = await fillAgainAndAgain({ disk, server, useUpLog: nothing, restart: nothing })
      expect(postgres.isRunning).toBe(true)
      Object.assign(task.meta, { counts })
    },
  )

  // PostgreSQL answers a log that it cannot write with a PANIC, and ends altogether when it then cannot recover for want
  // of room. Starting it again is the service manager's business (systemd's Restart=): the test is the manager here.
  test.runIf(databaseKinds.includes('postgres'))(
    'ends PostgreSQL when it has no room for its log; the server is back when its manager has started it again',
    async ({ task }) => {
      await using disk = await mountSmallDisk(192)
      await using postgres = await startPostgresServer([], { parent: disk.path })
      await using server = await startTestServer('postgres', { env: loadLimits, postgres })
      let restarts = 0
      const counts = await fillAgainAndAgain({
        disk,
        server,
        useUpLog: () => asAdmin(postgres.adminUrl(), (client) => switchLog((sql) => client.query(sql))),
        async restart() {
          if (postgres.isRunning) return
          await postgres.start()
          restarts++
        },
      })
      Object.assign(task.meta, { counts: { ...counts, restarts } })
    },
  )
})

/** A switch does nothing as long as nothing was written: a record of our own makes sure. */
async function switchLog(query: (sql: string) => Promise<unknown>): Promise<void> {
  for (let file = 0; file < LOG_FILES; file++)
    await query(`select pg_logical_emit_message(false, 'test', 'x'), pg_switch_wal()`)
}

async function fillAgainAndAgain({ disk, server, useUpLog, restart }: Scene) {
  const clinic = await server.createClinic()
  const conversationId = await meet(server, clinic)
  const demo = demoOf(clinic)
  const senders = PEOPLE.map((login) => startSender({ url: server.url }, demo, login, 8))
  for (let round = 1; round <= ROUNDS; round++) {
    await progress(senders, 20)
    disk.fill(Math.floor(Math.random() * 65_536))
    const before = countRefusals(senders, UNAVAILABLE)
    await useUpLog().catch(() => undefined)
    await until(() => countRefusals(senders, UNAVAILABLE) >= before + 10)
    await expectAnswersOrProblems(server.url, clinic, conversationId)
    disk.clear()
    await restart()
    await progress(senders, 20)
  }
  await Promise.all(senders.map((sender) => sender.finish()))
  const { acknowledged, entries } = await checkHistory(server.url, demo, senders)
  // `none`: the socket was closed because a delivery could not be recorded.
  for (const { refused } of senders)
    expect([...refused.keys()].filter((code) => code !== UNAVAILABLE && code !== 'none')).toEqual([])
  return { rounds: ROUNDS, refused: countRefusals(senders, UNAVAILABLE), acknowledged, entries, lost: 0 }
}

async function meet({ composition }: TestServer, { alice, bob, grace, carmen }: Clinic): Promise<ConversationId> {
  const conversationId = composition.ids.next<ConversationId>()
  await composition.operations.createConversation(alice.ctx, {
    conversationId,
    kind: 'group',
    mode: 'managed',
    title: 'Ward 3',
    subjectUserId: null,
    history: 'full',
    memberIds: [bob.userId, grace.userId, carmen.userId],
  })
  return conversationId
}

function demoOf({ slug, cora, ...others }: Clinic): DemoSignIns {
  const people = [cora, others.alice, others.bob, others.grace, others.carmen]
  return {
    tenant: slug,
    password: TEST_PASSWORD,
    people: people.map(({ login, role }) => ({ login, name: login, role })),
  }
}

/** There may be room for one more row here and there: then it is answered. All else is the one problem. */
async function expectAnswersOrProblems(url: string, { alice }: Clinic, conversationId: ConversationId): Promise<void> {
  const { accessToken } = alice
  const path = `/v1/conversations/${conversationId}/entries`
  const answers = await Promise.all(
    Array.from({ length: 10 }, async () => {
      const body = { entryId: newEntryId(), payload: { v: 1, type: 'text', text: 'Is there room?' } }
      return [await ask(url, 'GET', path, { accessToken }), await ask(url, 'POST', path, { accessToken, body })]
    }),
  )
  for (const { status, body } of answers.flat()) if (status !== 200 && status !== 201) expect(body).toEqual(unavailable)
}

async function until(isSo: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 120_000; !isSo();) {
    if (Date.now() > deadline) throw new Error('Nothing was refused, although the disk is full')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
