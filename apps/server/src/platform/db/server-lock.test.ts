import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds, migrateTestPostgres, TEST_LOGIN_ROLE } from '../../../../../packages/testkit/src/databases.ts'
import {
  asAdmin,
  startPostgresServer,
  type PostgresServer,
} from '../../../../../packages/testkit/src/postgres-server.ts'
import { Secret } from '../phi/phi.ts'
import { systemClock } from '../time/clock.ts'
import { AnotherServerRuns, takeServerLock } from './server-lock.ts'

describe.runIf(databaseKinds.includes('postgres'))('the one server of a database', () => {
  let postgres: PostgresServer

  beforeAll(async () => {
    postgres = await startPostgresServer()
    await migrateTestPostgres(postgres.adminUrl())
  })
  afterAll(() => postgres[Symbol.asyncDispose]())

  const take = (waitMsMax: number, onLost: (error: Error) => void = () => undefined) =>
    takeServerLock({
      url: new Secret(postgres.urlOf(TEST_LOGIN_ROLE, 'postgres')),
      clock: systemClock,
      waitMsMax,
      onLost,
    })

  const holders = async () => {
    const { rows } = await asAdmin(postgres.adminUrl(), (client) =>
      client.query<{ pid: number }>(`select pid from pg_locks where locktype = 'advisory' and granted`),
    )
    return rows.map(({ pid }) => pid)
  }
  const waitersOf = async () => {
    const { rows } = await asAdmin(postgres.adminUrl(), (client) =>
      client.query(`select 1 from pg_locks where locktype = 'advisory' and not granted`),
    )
    return rows.length
  }
  const until = async (isSo: () => Promise<boolean> | boolean) => {
    while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20))
  }

  test('keeps a second one out, which says why; one that comes while the first is stopping waits for it', async () => {
    const first = await take(0)
    await expect(take(300)).rejects.toThrow('Another Sotto server works on this database')
    const second = take(20_000)
    await first[Symbol.asyncDispose]()
    await (await second)[Symbol.asyncDispose]()
    expect(await holders()).toEqual([])
  })

  test('takes it again when its connection is lost, and after the database was away', async () => {
    const losses: Error[] = []
    await using _ = await take(0, (error) => losses.push(error))
    const [pid] = await holders()
    await asAdmin(postgres.adminUrl(), (client) => client.query('select pg_terminate_backend($1)', [pid]))
    await until(async () => (await holders()).some((one) => one !== pid))
    await postgres.kill()
    await postgres.start()
    await until(async () => (await holders()).length === 1)
    await expect(take(0)).rejects.toBeInstanceOf(AnotherServerRuns)
    expect(losses).toEqual([])
  })

  test('is told to end when another has taken the database meanwhile', async () => {
    const lost = Promise.withResolvers<Error>()
    await using _ = await take(300, lost.resolve)
    const [pid] = await holders()
    await asAdmin(postgres.adminUrl(), async (other) => {
      // It waits in line already when the connection is lost.
      const locked = other.query(`select pg_advisory_lock(7363841200)`)
      await until(async () => (await waitersOf()) === 1)
      await asAdmin(postgres.adminUrl(), (client) => client.query('select pg_terminate_backend($1)', [pid]))
      await locked
      expect(await lost.promise).toBeInstanceOf(AnotherServerRuns)
    })
  })
})
