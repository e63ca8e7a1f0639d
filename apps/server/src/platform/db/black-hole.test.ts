import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  databaseKinds,
  openTestDatabase,
  TEST_LOGIN_ROLE,
  testContextProof,
  type TestDatabase,
} from '../../../../../packages/testkit/src/databases.ts'
import { startFaultyProxy, type FaultyProxy } from '../../../../../packages/testkit/src/faulty-proxy.ts'
import { dbLimits } from '../limits/db-limits.ts'
import { systemClock } from '../time/clock.ts'
import type { DatabaseUnavailable } from './errors.ts'
import { createGroupCommit } from './group-commit.ts'
import { openPostgres, type Postgres } from './postgres.ts'
import { statement } from './tx.ts'

const one = statement('test.one', 'select 1')
const SLACK_MS = 4_000

describe.runIf(databaseKinds.includes('postgres'))('a database that neither answers nor refuses', () => {
  let database: TestDatabase
  let proxy: FaultyProxy
  let db: Postgres

  beforeAll(async () => {
    database = await openTestDatabase('postgres')
    const { url } = database.address as { readonly url: string }
    proxy = await startFaultyProxy(url)
    const behindProxy = new URL(`postgres://${TEST_LOGIN_ROLE}@127.0.0.1:${new URL(proxy.url).port}`)
    behindProxy.pathname = new URL(url).pathname
    db = await openPostgres({ url: behindProxy.href, poolSize: 1, lanes: 1, tenantProof: testContextProof })
  })
  afterAll(async () => {
    await db?.[Symbol.asyncDispose]()
    await proxy?.[Symbol.asyncDispose]()
    await database?.[Symbol.asyncDispose]()
  })

  test(
    'keeps nobody waiting for minutes: those in line are told in time, those in flight what is known of them',
    { timeout: 90_000 },
    async () => {
      const commits = createGroupCommit<number, number>({
        db,
        clock: systemClock,
        batchMax: 10,
        queueMax: 1_000,
        overloaded: () => new Error('overloaded'),
        async run(tx, items) {
          await tx.run(one)
          return items.map((item) => ({ answer: item }))
        },
        onError: () => undefined,
      })
      expect(await commits.submit('ward', 0)).toBe(0)
      proxy.setMode('halfOpen')
      const submit = async (item: number) => {
        const startedMs = performance.now()
        const outcome = await commits.submit('ward', item).then(
          () => 'durable',
          (error: DatabaseUnavailable) => error.outcome,
        )
        return { outcome, tookMs: performance.now() - startedMs }
      }
      const inFlight = submit(1)
      await delay(50)
      const inLine = Array.from({ length: 200 }, (_, index) => submit(index + 2))
      for (const { outcome, tookMs } of await Promise.all(inLine)) {
        expect(outcome).toBe('not-applied')
        expect(tookMs).toBeLessThan(dbLimits.queueWaitMs + SLACK_MS)
      }
      // These arrive while the first one's batch still hangs, and are told when it is given up, not after turns of their own.
      const late = Array.from({ length: 100 }, (_, index) => submit(index + 300))
      const first = await inFlight
      expect(first.outcome).not.toBe('durable')
      expect(first.tookMs).toBeLessThan(dbLimits.answerTimeoutMs + SLACK_MS)
      for (const { outcome, tookMs } of await Promise.all(late)) {
        expect(outcome).toBe('not-applied')
        expect(tookMs).toBeLessThan(dbLimits.answerTimeoutMs - dbLimits.queueWaitMs + SLACK_MS)
      }
      const { outcome, tookMs } = await submit(1_000)
      expect(outcome).toBe('not-applied')
      expect(tookMs).toBeLessThan(dbLimits.connectTimeoutMs + SLACK_MS)

      proxy.leaveBehind()
      expect(await commits.submit('ward', 2_000)).toBe(2_000)
    },
  )
})
