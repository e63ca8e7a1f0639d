import { randomUUID } from 'node:crypto'
import assert from 'node:assert'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  databaseKinds,
  openTestDatabase,
  testContextProof,
  type TestDatabase,
} from '../../../../../packages/testkit/src/databases.ts'
import { dbLimits } from '../limits/db-limits.ts'
import { DatabaseUnavailable, isUniqueViolation, StatementFailed } from './errors.ts'
import { openPostgres, type Postgres } from './postgres.ts'
import { statement, type LaneTx, type Tx } from './tx.ts'

const clinic = randomUUID()
const asClinic = { role: 'app', tenantId: clinic } as const

const publish = statement(
  'test.publish',
  `insert into outbox (tenant_id, outbox_id, topic, key, payload) values ($1, $2, 'message.sent', $3, '{}')`,
)
const one = statement<{ one: number }>('test.one', 'select 1 as one')
const divide = statement('test.divide', 'select 1 / $1::int')

describe.each(databaseKinds)('a transaction on %s', (kind) => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await openTestDatabase(kind)
    await database.ownerQuery(`
      create table sotto.note (tenant_id uuid not null, position bigserial, body text not null, primary key (tenant_id, position));
      select sotto.protect('sotto.note');
      grant select, insert, update on sotto.note to sotto_app;
      grant usage on sequence sotto.note_position_seq to sotto_app`)
  })
  afterAll(() => database[Symbol.asyncDispose]())

  const write = statement<{ position: number }>(
    'test.note',
    'insert into note (tenant_id, body) values ($1, $2) returning position',
  )
  const read = statement<{ body: string }>('test.notes', 'select body from note order by position')

  function outboxOf(key: string): Promise<readonly Record<string, unknown>[]> {
    return database.ownerQuery(`select outbox_id::text as id from sotto.outbox where key = $1`, [key])
  }

  test('pipelined statements run in the order in which they were issued', async () => {
    const bodies = Array.from({ length: 50 }, (_, index) => `note ${index}`)
    const positions = await database.db.withTx(asClinic, async (tx) => {
      const answers = await Promise.all(bodies.map((body) => tx.rows(write, [clinic, body])))
      return answers.map((rows) => rows[0]!.position)
    })
    expect(positions).toEqual(positions.toSorted((a, b) => a - b))
    expect(await database.db.withTx(asClinic, (tx) => tx.rows(read))).toEqual(bodies.map((body) => ({ body })))
  })

  test('statements that nobody awaits are part of it', async () => {
    const key = randomUUID()
    await database.db.withTx(asClinic, async (tx) => {
      tx.send(publish, [clinic, randomUUID(), key])
      void tx.run(publish, [clinic, randomUUID(), key])
    })
    expect(await outboxOf(key)).toHaveLength(2)
  })

  test.each([[1], [2]])('a write that was sent and fails takes the transaction with it (%i)', async (position) => {
    const key = randomUUID()
    const attempt = database.db.withTx(asClinic, async (tx) => {
      if (position === 2) tx.send(publish, [clinic, randomUUID(), key])
      tx.send(divide, [0])
      if (position === 1) tx.send(publish, [clinic, randomUUID(), key])
    })
    await expect(attempt).rejects.toMatchObject({ sqlState: '22012', statement: 'test.divide' })
    expect(await outboxOf(key)).toHaveLength(0)
  })

  test('what the callback throws rolls back and is thrown on', async () => {
    const key = randomUUID()
    const reason = new Error('Alice changed her mind')
    const attempt = database.db.withTx(asClinic, async (tx) => {
      await tx.run(publish, [clinic, randomUUID(), key])
      throw reason
    })
    await expect(attempt).rejects.toBe(reason)
    expect(await outboxOf(key)).toHaveLength(0)
  })

  test('a failed statement is the one that is told, although its pipelined neighbours fail with it', async () => {
    const key = randomUUID()
    const attempt = database.db.withTx(asClinic, async (tx) => {
      const failing = tx.run(divide, [0])
      const neighbour = tx.run(publish, [clinic, randomUUID(), key])
      // The first is never awaited: its rejection must not become an unhandled one.
      void failing
      await neighbour
    })
    await expect(attempt).rejects.toMatchObject({ sqlState: '22012', statement: 'test.divide' })
    expect(await outboxOf(key)).toHaveLength(0)
  })

  test('a failure that the callback swallows still fails the transaction, because COMMIT would roll back', async () => {
    const key = randomUUID()
    const attempt = database.db.withTx(asClinic, async (tx) => {
      await tx.run(publish, [clinic, randomUUID(), key])
      await tx.run(divide, [0]).catch(() => {})
    })
    await expect(attempt).rejects.toBeInstanceOf(StatementFailed)
    const unawaited = database.db.withTx(asClinic, async (tx) => void tx.run(divide, [0]))
    await expect(unawaited).rejects.toBeInstanceOf(StatementFailed)
    expect(await outboxOf(key)).toHaveLength(0)
  })

  test('a broken uniqueness says which constraint, and nothing of the row', async () => {
    const id = randomUUID()
    const attempt = database.db.withTx(asClinic, async (tx) => {
      await tx.run(publish, [clinic, id, 'Bob'])
      await tx.run(publish, [clinic, id, 'Bob'])
    })
    const error: unknown = await attempt.catch((reason: unknown) => reason)
    expect(isUniqueViolation(error, 'outbox_pkey')).toBe(true)
    expect(isUniqueViolation(error, 'note_pkey')).toBe(false)
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(id)
  })

  test('a handle that outlives its callback refuses to work', async () => {
    let escaped: Tx | undefined
    await database.db.withTx(asClinic, async (tx) => {
      escaped = tx
      await tx.rows(one)
    })
    expect(() => escaped!.rows(one)).toThrow('after its transaction had ended')
    expect(() => escaped!.run(one)).toThrow('after its transaction had ended')
    expect(() => (escaped as LaneTx).enterTenant(clinic)).toThrow('after its transaction had ended')
  })

  test('the connection works on after every kind of failure', async () => {
    for (const broken of ['select 1 / 0', 'select * from nothing', 'selekt', "select 'x'::uuid"]) {
      const failing = statement(`test.broken ${broken}`, broken)
      await expect(database.db.withTx(asClinic, (tx) => tx.rows(failing))).rejects.toBeInstanceOf(StatementFailed)
      // A second time: the name must not be taken for a statement that the server knows.
      await expect(database.db.withTx(asClinic, (tx) => tx.rows(failing))).rejects.toBeInstanceOf(StatementFailed)
      expect(await database.db.withTx(asClinic, (tx) => tx.rows(one))).toEqual([{ one: 1 }])
    }
  })

  test('more transactions than connections take turns', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => database.db.withTx(asClinic, (tx) => tx.rows(one))),
    )
    expect(answers).toHaveLength(50)
  })

  test('a lane serves several tenants in one transaction and shows each only its own', async () => {
    const [first, second] = [randomUUID(), randomUUID()]
    const seen = await database.db.lane(0).withTx(async (tx) => {
      const beforeAny = await tx.rows(read)
      tx.enterTenant(first)
      await tx.run(write, [first, 'of the first'])
      tx.enterTenant(second)
      await tx.run(write, [second, 'of the second'])
      const ofSecond = await tx.rows(read)
      tx.enterTenant(first)
      return { beforeAny, ofSecond, ofFirst: await tx.rows(read) }
    })
    expect(seen).toEqual({
      beforeAny: [],
      ofSecond: [{ body: 'of the second' }],
      ofFirst: [{ body: 'of the first' }],
    })
  })

  test('a lane refuses a row of another tenant than the one it has entered', async () => {
    const attempt = database.db.lane(1).withTx(async (tx) => {
      tx.enterTenant(randomUUID())
      await tx.run(publish, [clinic, randomUUID(), 'foreign'])
    })
    await expect(attempt).rejects.toMatchObject({ sqlState: '42501' })
  })

  test('lanes and ordinary transactions work side by side without waiting for ever', async () => {
    const { db } = database
    const lanes = Array.from({ length: 10 }, (_, index) => db.lane(index).withTx((tx) => tx.rows(one)))
    const ordinary = Array.from({ length: 10 }, () => db.withTx(asClinic, (tx) => tx.rows(one)))
    expect(await Promise.all([...lanes, ...ordinary])).toHaveLength(20)
  })
})

describe.runIf(databaseKinds.includes('postgres'))('two concurrent transactions on postgres', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await openTestDatabase('postgres')
    await database.ownerQuery(`
      create table sotto.counter (tenant_id uuid not null, name text not null, value int not null, primary key (tenant_id, name));
      select sotto.protect('sotto.counter');
      grant select, insert, update on sotto.counter to sotto_app`)
    await database.ownerQuery(`insert into sotto.counter values ($1, 'a', 0), ($1, 'b', 0)`, [clinic])
  })
  afterAll(() => database[Symbol.asyncDispose]())

  const add = statement<{ value: number }>(
    'test.add',
    'update counter set value = value + 1 where tenant_id = $1 and name = $2 returning value',
  )
  const value = statement<{ value: number }>(
    'test.value',
    'select value from counter where tenant_id = $1 and name = $2',
  )

  async function openIsolated(level: string): Promise<Postgres> {
    assert('url' in database.address)
    const { url } = database.address
    await database.ownerQuery(`alter role sotto_login in database ${new URL(url).pathname.slice(1)}
      set default_transaction_isolation = '${level}'`)
    return openPostgres({ url, poolSize: 2, lanes: 0, tenantProof: testContextProof })
  }

  /** Both have taken their first lock before either asks for its second. */
  function meeting(): () => Promise<void> {
    const both = Promise.withResolvers<void>()
    let arrived = 0
    return () => {
      if (++arrived === 2) both.resolve()
      return both.promise
    }
  }

  async function valueOf(name: string): Promise<number> {
    const rows = await database.db.withTx(asClinic, (tx) => tx.rows(value, [clinic, name]))
    return rows[0]!.value
  }

  test('a deadlock is lost by one, whose whole callback runs again', async () => {
    const meet = meeting()
    let runs = 0
    const crossing = (first: string, second: string): Promise<unknown> =>
      database.db.withTx(asClinic, async (tx) => {
        runs++
        await tx.run(add, [clinic, first])
        await meet()
        await tx.run(add, [clinic, second])
      })
    await Promise.all([crossing('a', 'b'), crossing('b', 'a')])
    expect(runs).toBe(3)
    expect([await valueOf('a'), await valueOf('b')]).toEqual([2, 2])
  })

  test('a serialization failure is run again and sees what the winner wrote', async () => {
    await using isolated = await openIsolated('repeatable read')
    const before = await valueOf('a')
    const meet = meeting()
    let runs = 0
    const increment = (): Promise<number> =>
      isolated.withTx(asClinic, async (tx) => {
        runs++
        const [row] = await tx.rows(value, [clinic, 'a'])
        await meet()
        await tx.run(add, [clinic, 'a'])
        return row!.value
      })
    const seen = await Promise.all([increment(), increment()])
    expect(runs).toBe(3)
    expect(seen.toSorted((a, b) => a - b)).toEqual([before, before + 1])
    expect(await valueOf('a')).toBe(before + 2)
  })

  test('one that loses every time is told that the database is too busy', async () => {
    let runs = 0
    const conflict = statement('test.conflict', `do $$ begin raise exception using errcode = '40001'; end $$`)
    const attempt = database.db.withTx(asClinic, async (tx) => {
      runs++
      await tx.run(conflict)
    })
    await expect(attempt).rejects.toMatchObject({ name: 'DatabaseUnavailable', outcome: 'not-applied', code: '40001' })
    expect(runs).toBe(dbLimits.attemptsMax)
  })

  test('a failure at the commit itself is told, and nothing is written', async () => {
    await database.ownerQuery(`
      create table sotto.pair (tenant_id uuid not null, id int not null, other int not null,
        primary key (tenant_id, id),
        foreign key (tenant_id, other) references sotto.pair (tenant_id, id) deferrable initially deferred);
      select sotto.protect('sotto.pair');
      grant select, insert on sotto.pair to sotto_app`)
    const pair = statement('test.pair', 'insert into pair values ($1, 1, 2)')
    const attempt = database.db.withTx(asClinic, (tx) => tx.run(pair, [clinic]))
    await expect(attempt).rejects.toMatchObject({ name: 'StatementFailed', sqlState: '23503' })
  })

  test('a lock that is not given in time, and a statement that takes too long, are unavailability', async () => {
    const short = statement(
      'test.short',
      `select set_config('lock_timeout', '20', true), set_config('statement_timeout', '500', true)`,
    )
    const locked = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const holder = database.db.withTx(asClinic, async (tx) => {
      await tx.run(add, [clinic, 'a'])
      locked.resolve()
      await release.promise
    })
    await locked.promise
    const waiter = database.db.withTx(asClinic, async (tx) => {
      await tx.run(short)
      await tx.run(add, [clinic, 'a'])
    })
    await expect(waiter).rejects.toMatchObject({ outcome: 'not-applied', code: '55P03' })
    release.resolve()
    await holder
    const sleeper = database.db.withTx(asClinic, async (tx) => {
      await tx.run(short)
      await tx.run(statement('test.sleep', 'select pg_sleep(30)'))
    })
    await expect(sleeper).rejects.toBeInstanceOf(DatabaseUnavailable)
  })
})
