import { randomUUID } from 'node:crypto'
import { createServer, type AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  databaseKinds,
  migrateTestPostgres,
  TEST_LOGIN_ROLE,
  testContextProof,
} from '../../../../../packages/testkit/src/databases.ts'
import {
  asAdmin,
  startPostgresServer,
  type PostgresServer,
} from '../../../../../packages/testkit/src/postgres-server.ts'
import { Secret } from '../phi/phi.ts'
import { assertTrustworthy } from './assert-trustworthy.ts'
import { DatabaseUnavailable } from './errors.ts'
import { openPostgres, type Postgres } from './postgres.ts'
import { statement } from './tx.ts'

const clinic = randomUUID()
const asClinic = { role: 'app', tenantId: clinic } as const
const one = statement<{ one: number }>('test.one', 'select 1 as one')
const publish = statement(
  'test.publish',
  `insert into outbox (tenant_id, outbox_id, topic, key, payload) values ($1, $2, 'message.sent', $3, '{}')`,
)

describe.runIf(databaseKinds.includes('postgres'))('a database that goes away', () => {
  let server: PostgresServer
  let db: Postgres
  let losses: string[]
  const strayed: unknown[] = []
  const stray = (reason: unknown): void => void strayed.push(reason)
  beforeAll(async () => {
    server = await startPostgresServer()
    await migrateTestPostgres(server.adminUrl())
    process.on('unhandledRejection', stray).on('uncaughtException', stray)
  })
  afterAll(async () => {
    process.off('unhandledRejection', stray).off('uncaughtException', stray)
    await server[Symbol.asyncDispose]()
    expect(strayed).toEqual([])
  })
  beforeEach(async () => {
    losses = []
    db = await openPostgres({
      url: new Secret(server.urlOf(TEST_LOGIN_ROLE, 'postgres')),
      poolSize: 3,
      lanes: 1,
      tenantProof: testContextProof,
      onConnectionError: (code) => losses.push(code),
    })
  })
  afterEach(() => db[Symbol.asyncDispose]())

  const ways = [
    ['stopped', () => server.stop()],
    ['killed', () => server.kill()],
  ] as const

  test.each(ways)(
    '%s: what is under way is not applied, the next is refused, and it recovers by itself',
    async (_, end) => {
      const key = randomUUID()
      const begun = Promise.withResolvers<void>()
      const gone = Promise.withResolvers<void>()
      const underWay = db.withTx(asClinic, async (tx) => {
        await tx.run(publish, [clinic, randomUUID(), key])
        begun.resolve()
        await gone.promise
        // Two that nobody awaits: their rejections must not stray.
        void tx.run(publish, [clinic, randomUUID(), key])
        await tx.run(publish, [clinic, randomUUID(), key])
      })
      await begun.promise
      await end()
      gone.resolve()
      await expect(underWay).rejects.toMatchObject({ name: 'DatabaseUnavailable', outcome: 'not-applied' })
      await expect(db.withTx(asClinic, (tx) => tx.rows(one))).rejects.toMatchObject({ outcome: 'not-applied' })
      await expect(db.lane(0).withTx((tx) => tx.rows(one))).rejects.toBeInstanceOf(DatabaseUnavailable)
      await expect(db.ping()).rejects.toBeInstanceOf(DatabaseUnavailable)
      expect(losses.length).toBeGreaterThan(0)

      await server.start()
      expect(await db.withTx(asClinic, (tx) => tx.rows(one))).toEqual([{ one: 1 }])
      expect(await db.lane(0).withTx((tx) => tx.rows(one))).toEqual([{ one: 1 }])
      expect(await outboxOf(key)).toBe(0)
    },
  )

  async function outboxOf(key: string): Promise<number> {
    const { rows } = await asAdmin(server.adminUrl(), (client) =>
      client.query<{ count: number }>(`select count(*)::int as count from sotto.outbox where key = $1`, [key]),
    )
    return rows[0]!.count
  }

  test('an idle connection that the server closes is replaced', async () => {
    await db.ping()
    await asAdmin(server.adminUrl(), (client) =>
      client.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [TEST_LOGIN_ROLE]),
    )
    // The pool may hand out the connection before it has heard of its end, once per connection.
    const answers = await Promise.allSettled(Array.from({ length: 6 }, () => db.ping()))
    for (const answer of answers) {
      if (answer.status === 'rejected') expect(answer.reason).toBeInstanceOf(DatabaseUnavailable)
    }
    await db.ping()
  })

  test('a commit whose answer never comes has an unknown outcome, whether it happened or not', async () => {
    for (const isForwarded of [true, false]) {
      const key = randomUUID()
      await using relay = await startRelay(server.urlOf(TEST_LOGIN_ROLE, 'postgres'), isForwarded)
      const cut = await openPostgres({ url: relay.url, poolSize: 1, lanes: 0, tenantProof: testContextProof })
      const attempt = cut.withTx(asClinic, async (tx) => {
        await tx.run(publish, [clinic, randomUUID(), key])
        relay.cutAtNextCommit()
      })
      await expect(attempt).rejects.toMatchObject({ name: 'DatabaseUnavailable', outcome: 'unknown' })
      await relay.settled
      expect(await outboxOf(key)).toBe(isForwarded ? 1 : 0)
      await cut[Symbol.asyncDispose]()
    }
  })

  test('a login role with rights of its own is refused, because row-level security would not bind it', async () => {
    const superuser = openPostgres({ url: server.adminUrl(), poolSize: 1, lanes: 0, tenantProof: testContextProof })
    await expect(superuser).rejects.toThrow('superuser')
    await asAdmin(server.adminUrl(), (client) =>
      client.query(
        'create role mallory login noinherit; grant sotto_owner to mallory; grant connect on database postgres to mallory',
      ),
    )
    const owner = openPostgres({
      url: server.urlOf('mallory', 'postgres'),
      poolSize: 1,
      lanes: 0,
      tenantProof: testContextProof,
    })
    await expect(owner).rejects.toThrow('owns the schema')
  })

  test.each([
    ['a superuser', 'create role boss superuser; grant boss to trudy'],
    ['one who bypasses row-level security', 'create role ghost bypassrls; grant ghost to trudy'],
    ['those who run programs on the server', 'grant pg_execute_server_program to trudy'],
  ])('a login role is refused that is a member of %s, though it inherits nothing', async (_, powers) => {
    const grants = `create role trudy login noinherit; grant connect on database postgres to trudy; ${powers}`
    await asAdmin(server.adminUrl(), (client) => client.query(grants))
    const url = server.urlOf('trudy', 'postgres')
    const opening = openPostgres({ url, poolSize: 1, lanes: 0, tenantProof: testContextProof })
    await expect(opening).rejects.toThrow('is a member of a role that does')
    await asAdmin(server.adminUrl(), (client) =>
      client.query('drop owned by trudy; drop role trudy; drop role if exists boss; drop role if exists ghost'),
    )
  })

  const commitMode = statement<{ mode: string }>(
    'test.commit-mode',
    `select current_setting('synchronous_commit') as mode`,
  )

  test.each([
    ['off', 'on'],
    ['local', 'on'],
    ['remote_apply', 'remote_apply'],
  ])('whoever sets synchronous_commit to %s gets %s', async (wished, kept) => {
    await asAdmin(server.adminUrl(), (client) =>
      client.query(`alter role ${TEST_LOGIN_ROLE} set synchronous_commit = ${wished}`),
    )
    const opened = await openPostgres({
      url: server.urlOf(TEST_LOGIN_ROLE, 'postgres'),
      poolSize: 1,
      lanes: 1,
      tenantProof: testContextProof,
    })
    expect(await opened.withTx(asClinic, (tx) => tx.rows(commitMode))).toEqual([{ mode: kept }])
    expect(await opened.lane(0).withTx((tx) => tx.rows(commitMode))).toEqual([{ mode: kept }])
    await opened[Symbol.asyncDispose]()
    await asAdmin(server.adminUrl(), (client) => client.query(`alter role ${TEST_LOGIN_ROLE} reset synchronous_commit`))
  })

  test('a cluster that does not wait for its disk is refused', async () => {
    await using careless = await startPostgresServer(['fsync=off'])
    await migrateTestPostgres(careless.adminUrl())
    const url = careless.urlOf(TEST_LOGIN_ROLE, 'postgres')
    const opening = openPostgres({ url, poolSize: 1, lanes: 0, tenantProof: testContextProof })
    await expect(opening).rejects.toThrow('fsync = off')
  })

  test('PostgreSQL before 15 is refused', () => {
    const traits = { version: 150_000, fsync: 'on', powerful: false }
    expect(() => assertTrustworthy(traits)).not.toThrow()
    expect(() => assertTrustworthy({ ...traits, version: 140_012 })).toThrow('PostgreSQL 14 is too old')
  })

  test('a commit whose answer was lost is unknown, also when a write that nobody awaited lost its answer, too', async () => {
    await using relay = await startRelay(server.urlOf(TEST_LOGIN_ROLE, 'postgres'), true)
    const cut = await openPostgres({ url: relay.url, poolSize: 1, lanes: 0, tenantProof: testContextProof })
    const key = randomUUID()
    const attempt = cut.withTx(asClinic, async (tx) => {
      await tx.rows(one)
      relay.cutAtNextCommit()
      tx.send(publish, [clinic, randomUUID(), key])
    })
    await expect(attempt).rejects.toMatchObject({ name: 'DatabaseUnavailable', outcome: 'unknown' })
    await relay.settled
    expect(await outboxOf(key)).toBe(1)
    await cut[Symbol.asyncDispose]()
  })

  test('a database that is not there at the start is said to be unavailable', async () => {
    const nowhere = openPostgres({
      url: 'postgres://sotto_login@127.0.0.1:1/x',
      poolSize: 1,
      lanes: 0,
      tenantProof: testContextProof,
    })
    await expect(nowhere).rejects.toMatchObject({ name: 'DatabaseUnavailable', code: 'ECONNREFUSED' })
  })
})

interface Relay extends AsyncDisposable {
  readonly url: string
  /** The connection breaks when the client sends COMMIT, which still reaches the server or does not. */
  cutAtNextCommit(): void
  /** The server has seen the end of the connection and whatever came before. */
  readonly settled: Promise<void>
}

/** A wire to the server that can be cut at the worst moment. */
async function startRelay(serverUrl: string, isForwarded: boolean): Promise<Relay> {
  const { connect } = await import('node:net')
  const socketPath = `${new URL(serverUrl).searchParams.get('host')}/.s.PGSQL.5432`
  let isArmed = false
  const settled = Promise.withResolvers<void>()
  const listener = createServer((client) => {
    const upstream = connect(socketPath)
    upstream.on('data', (chunk) => client.writable && client.write(chunk))
    upstream.on('close', () => settled.resolve())
    client.on('error', () => {})
    client.on('close', () => upstream.end())
    client.on('data', (chunk) => {
      if (!isArmed || !chunk.includes('commit')) return void upstream.write(chunk)
      client.removeAllListeners('close')
      client.destroy()
      if (isForwarded) upstream.end(chunk)
      else upstream.destroy()
    })
  })
  listener.listen(0, '127.0.0.1')
  await new Promise((resolve) => listener.once('listening', resolve))
  const { port } = listener.address() as AddressInfo
  return {
    url: `postgres://${TEST_LOGIN_ROLE}@127.0.0.1:${port}/postgres`,
    cutAtNextCommit: () => {
      isArmed = true
    },
    settled: settled.promise,
    [Symbol.asyncDispose]: async () => {
      await new Promise((resolve) => listener.close(resolve))
    },
  }
}
