import { expect, test } from 'vitest'
import { DatabaseUnavailable } from './errors.ts'
import { createGroupCommit, held, laneOf, RowHeld, type GroupCommitOptions } from './group-commit.ts'
import { systemClock } from '../time/clock.ts'
import type { Db, LaneTx } from './tx.ts'

/**
 * A database without a disk: transactions run when the test lets them. What they did shows in `committed`, in order, and
 * disappears when they fail, like rows.
 */
function scriptedDb(lanes = 1) {
  const committed: string[] = []
  let gate: Promise<void> = Promise.resolve()
  let fails: () => Error | undefined = () => undefined
  let open = () => {}
  let transactions = 0
  const db = {
    lanes,
    withTx: () => Promise.reject(new Error('only lanes are used here')),
    lane: () => ({
      async withTx<T>(fn: (tx: LaneTx) => Promise<T>): Promise<T> {
        transactions++
        await gate
        const written: string[] = []
        const tx = { run: async ({ name }: { name: string }) => written.push(name) } as unknown as LaneTx
        const result = await fn(tx)
        const error = fails()
        if (error !== undefined) throw error
        committed.push(...written)
        return result
      },
    }),
  } as unknown as Db
  return {
    db,
    committed,
    get transactions() {
      return transactions
    },
    hold() {
      gate = new Promise((resolve) => {
        open = resolve
      })
    },
    release: () => open(),
    failWith(next: () => Error | undefined) {
      fails = next
    },
  }
}

const write = (tx: LaneTx, name: string) => tx.run({ name, text: '' })

function committer(scripted: ReturnType<typeof scriptedDb>, options: Partial<GroupCommitOptions<string, string>> = {}) {
  const told: string[][] = []
  const errors: unknown[] = []
  const splits: number[] = []
  const commits = createGroupCommit<string, string>({
    db: scripted.db,
    clock: systemClock,
    batchMax: 100,
    queueMax: 1_000,
    overloaded: () => new Error('overloaded'),
    async run(tx, items) {
      const bad = items.find((item) => item.startsWith('poison'))
      if (bad !== undefined) throw new Error(`the database refuses ${bad}`)
      await Promise.all(items.filter((item) => !item.startsWith('refused')).map((item) => write(tx, item)))
      return items.map((item) =>
        item.startsWith('refused') ? { refusal: new Error(item) } : { answer: `${item} is durable` },
      )
    },
    committed: (items) => void told.push([...items]),
    onSplit: (size) => void splits.push(size),
    onError: (error) => void errors.push(error),
    ...options,
  })
  return { commits, told, errors, splits }
}

const settle = async (acts: readonly Promise<string>[]) =>
  (await Promise.allSettled(acts)).map((one) =>
    one.status === 'fulfilled' ? one.value : (one.reason as Error).message,
  )

test('those who arrive while a transaction is under way go together in the next one', async () => {
  const scripted = scriptedDb()
  const { commits, told } = committer(scripted)
  scripted.hold()
  const first = commits.submit('ward', 'a')
  await new Promise((resolve) => setImmediate(resolve))
  const others = ['b', 'c', 'd'].map((item) => commits.submit('ward', item))
  scripted.release()
  expect(await Promise.all([first, ...others])).toEqual(['a', 'b', 'c', 'd'].map((item) => `${item} is durable`))
  expect(told).toEqual([['a'], ['b', 'c', 'd']])
  expect(scripted.transactions).toBe(2)
})

test('those of one transaction are told while the next one is under way, which they do not wait for', async () => {
  const scripted = scriptedDb()
  const begunWhenTold: number[] = []
  const { commits } = committer(scripted, { committed: () => void begunWhenTold.push(scripted.transactions) })
  scripted.hold()
  const first = commits.submit('ward', 'a')
  await new Promise((resolve) => setImmediate(resolve))
  const second = commits.submit('ward', 'b')
  scripted.release()
  scripted.hold()
  await first
  expect([begunWhenTold, scripted.committed]).toEqual([[2], ['a']])
  scripted.release()
  await second
  expect(begunWhenTold).toEqual([2, 2])
})

test('those of one transaction are told although the next one finds no database', async () => {
  const scripted = scriptedDb()
  const { commits, told } = committer(scripted)
  scripted.hold()
  const first = commits.submit('ward', 'a')
  await new Promise((resolve) => setImmediate(resolve))
  const second = settle([commits.submit('ward', 'b')])
  scripted.release()
  scripted.hold()
  await first
  scripted.failWith(() => new DatabaseUnavailable('unknown', 'closed'))
  scripted.release()
  await commits.idle()
  expect(told).toEqual([['a']])
  expect(await second).toEqual(['The database is unavailable (closed); the transaction is unknown'])
})

test('a batch is never larger than its maximum, and the order of arrival is the order of commit', async () => {
  const scripted = scriptedDb()
  const { commits, told } = committer(scripted, { batchMax: 4 })
  const items = Array.from({ length: 11 }, (_, index) => `item ${index}`)
  await Promise.all(items.map((item) => commits.submit('ward', item)))
  expect(told.map((batch) => batch.length)).toEqual([4, 4, 3])
  expect(scripted.committed).toEqual(items)
})

test('a refused item leaves its neighbours alone', async () => {
  const scripted = scriptedDb()
  const { commits, splits } = committer(scripted)
  const acts = ['a', 'refused b', 'c'].map((item) => commits.submit('ward', item))
  expect(await settle(acts)).toEqual(['a is durable', 'refused b', 'c is durable'])
  expect(splits).toEqual([])
})

test('items that the database refuses are found by halves, and the others are committed in order', async () => {
  const scripted = scriptedDb()
  const { commits, told, splits } = committer(scripted)
  const items = ['a', 'b', 'poison c', 'd', 'e', 'f', 'poison g', 'h']
  expect(await settle(items.map((item) => commits.submit('ward', item)))).toEqual(
    items.map((item) => (item.startsWith('poison') ? `the database refuses ${item}` : `${item} is durable`)),
  )
  expect(scripted.committed).toEqual(['a', 'b', 'd', 'e', 'f', 'h'])
  expect(told.flat()).toEqual(scripted.committed)
  expect(splits[0]).toBe(8)
})

test('without a database everybody is told so, nobody is tried again, and the lane goes on when it is back', async () => {
  const scripted = scriptedDb()
  const { commits, told, splits } = committer(scripted)
  scripted.failWith(() => new DatabaseUnavailable('unknown', 'closed'))
  const acts = ['a', 'b', 'c'].map((item) => commits.submit('ward', item))
  const gone = await Promise.allSettled(acts)
  expect(gone.every((one) => one.status === 'rejected' && one.reason instanceof DatabaseUnavailable)).toBe(true)
  expect([scripted.transactions, told.length, splits.length]).toEqual([1, 0, 0])
  scripted.failWith(() => undefined)
  expect(await commits.submit('ward', 'd')).toBe('d is durable')
})

test('what runs alone keeps its place between batches, and is told of before the next batch begins', async () => {
  const scripted = scriptedDb()
  const order: string[] = []
  const { commits } = committer(scripted, { committed: (items) => void order.push(...items) })
  const alone = (name: string) =>
    commits.alone(
      'ward',
      async (tx) => {
        await write(tx, name)
        return name
      },
      (result) => void order.push(result),
    )
  await Promise.all([commits.submit('ward', 'a'), alone('alone 1'), commits.submit('ward', 'b'), alone('alone 2')])
  expect(scripted.committed).toEqual(['a', 'alone 1', 'b', 'alone 2'])
  expect(order).toEqual(scripted.committed)
})

test('one that fails alone takes nobody with it and frees its place in the queue', async () => {
  const scripted = scriptedDb()
  const { commits } = committer(scripted, { queueMax: 2 })
  for (let round = 0; round < 5; round++) {
    const acts = [commits.alone('ward', () => Promise.reject(new Error('no'))), commits.submit('ward', `item ${round}`)]
    expect(await settle(acts as Promise<string>[])).toEqual(['no', `item ${round} is durable`])
  }
})

test('a full queue refuses at once; what waits is committed; then there is room again', async () => {
  const scripted = scriptedDb()
  const { commits } = committer(scripted, { queueMax: 3 })
  scripted.hold()
  const acts = ['a', 'b', 'c'].map((item) => commits.submit('ward', item))
  await expect(commits.submit('ward', 'd')).rejects.toThrow('overloaded')
  await expect(commits.alone('ward', async () => 'e')).rejects.toThrow('overloaded')
  scripted.release()
  expect(await settle(acts)).toEqual(['a is durable', 'b is durable', 'c is durable'])
  expect(await commits.submit('ward', 'd')).toBe('d is durable')
})

test('a lane whose transaction hangs holds up no other lane', async () => {
  const lanes = 4
  const [slow, quick] = pickKeys(lanes)
  let free = () => {}
  const hung = new Promise<void>((resolve) => {
    free = resolve
  })
  const scripted = scriptedDb(lanes)
  const { commits } = committer(scripted, {
    async run(_tx, items) {
      if (items.includes('slow')) await hung
      return items.map((item) => ({ answer: item }))
    },
  })
  const waiting = commits.submit(slow, 'slow')
  expect(await commits.submit(quick, 'quick')).toBe('quick')
  free()
  expect(await waiting).toBe('slow')
})

function pickKeys(lanes: number): readonly [string, string] {
  const other = Array.from({ length: 100 }, (_, index) => `key ${index}`).find(
    (key) => laneOf(key, lanes) !== laneOf('key', lanes),
  )
  return ['key', other!]
}

test('who is told of a commit cannot undo it by failing: callers are answered and the lane goes on', async () => {
  const scripted = scriptedDb()
  const { commits, errors } = committer(scripted, {
    committed() {
      throw new Error('the bus is broken')
    },
  })
  expect(await settle(['a', 'b'].map((item) => commits.submit('ward', item)))).toEqual(['a is durable', 'b is durable'])
  const broken = () => {
    throw new Error('so is this')
  }
  expect(await commits.alone('ward', async () => 'alone', broken)).toBe('alone')
  expect(await commits.submit('ward', 'c')).toBe('c is durable')
  expect(errors).toHaveLength(3)
  await commits.idle()
})

test('a batch function that forgets an item commits nothing', async () => {
  const scripted = scriptedDb()
  const { commits } = committer(scripted, {
    async run(tx, items) {
      await write(tx, items[0]!)
      return items.slice(1).map((item) => ({ answer: item }))
    },
  })
  const [outcome] = await settle([commits.submit('ward', 'a')])
  expect(outcome).toMatch(/has its verdict/)
  expect(scripted.committed).toEqual([])
  await commits.idle()
})

test('idle resolves when everything is answered, what arrived meanwhile too, and at once when nothing is there', async () => {
  const scripted = scriptedDb(3)
  const { commits } = committer(scripted)
  await commits.idle()
  const answered: string[] = []
  for (let index = 0; index < 30; index++)
    void commits.submit(`key ${index}`, `first ${index}`).then((answer) => {
      answered.push(answer)
      if (index < 10) void commits.submit(`key ${index}`, `second ${index}`).then((later) => answered.push(later))
    })
  await commits.idle()
  expect(answered).toHaveLength(40)
})

test('an arrival in the very moment in which a lane runs dry is not forgotten', async () => {
  const scripted = scriptedDb()
  const { commits } = committer(scripted)
  for (let round = 0; round < 200; round++) {
    const first = commits.submit('ward', `a ${round}`)
    // The continuation of an answer runs while the lane looks whether anybody is left.
    const second = first.then(() => commits.submit('ward', `b ${round}`))
    expect(await second).toBe(`b ${round} is durable`)
  }
  expect(scripted.committed).toHaveLength(400)
})

/** A batch function that finds the rows of some keys held by another transaction, and tells what it wrote in which order. */
function holdable() {
  const heldKeys = new Set<string>()
  const keyOf = (item: string) => item.split(' ')[0]!
  const run: GroupCommitOptions<string, string>['run'] = async (tx, items) => {
    const free = items.filter((item) => !heldKeys.has(keyOf(item)))
    await Promise.all(free.map((item) => write(tx, item)))
    return items.map((item) => (heldKeys.has(keyOf(item)) ? held : { answer: item }))
  }
  return { heldKeys, run }
}

test('who meets a held row waits aside with all that follow for its key, in order, and the others go on', async () => {
  const scripted = scriptedDb()
  const { heldKeys, run } = holdable()
  const { commits, told } = committer(scripted, { run })
  heldKeys.add('ward')
  const stuck = ['ward 1', 'ward 2'].map((item) => commits.submit('ward', item))
  for (let round = 0; round < 5; round++)
    expect(await commits.submit('clinic', `clinic ${round}`)).toBe(`clinic ${round}`)
  stuck.push(commits.submit('ward', 'ward 3'))
  const alone = commits.alone('ward', async (tx) => {
    if (heldKeys.has('ward')) throw new RowHeld()
    await write(tx, 'ward alone')
    return 'alone'
  })
  stuck.push(commits.submit('ward', 'ward 4'))
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(scripted.committed.filter((item) => item.startsWith('ward'))).toEqual([])
  heldKeys.clear()
  expect(await Promise.all([...stuck, alone])).toEqual(['ward 1', 'ward 2', 'ward 3', 'ward 4', 'alone'])
  expect(scripted.committed.filter((item) => item.startsWith('ward'))).toEqual([
    'ward 1',
    'ward 2',
    'ward 3',
    'ward alone',
    'ward 4',
  ])
  expect(told.flat().filter((item) => item.startsWith('ward'))).toEqual(['ward 1', 'ward 2', 'ward 3', 'ward 4'])
  await commits.idle()
  expect(await commits.submit('ward', 'ward 5')).toBe('ward 5')
})

test('order and number hold in any interleaving of held rows, full batches, halves and things that run alone', async () => {
  const play = async (seed: number) => {
    let state = seed
    const random = (below: number) => (state = (state * 48_271) % 2_147_483_647) % below
    const scripted = scriptedDb()
    const { commits } = committer(scripted, {
      batchMax: 1 + random(6),
      async run(tx, items) {
        if (random(12) === 0) throw new DatabaseUnavailable('not-applied', '55P03', true)
        const isHeld = new Set(['a', 'b', 'c'].filter(() => random(3) === 0))
        // The later ones of a held key could be done, but must not be before the earlier ones.
        const verdicts = items.map((item) => isHeld.has(item.split(' ')[0]!))
        await Promise.all(items.filter((_, index) => !verdicts[index]).map((item) => write(tx, item)))
        return items.map((item, index) => (verdicts[index] ? held : { answer: item }))
      },
    })
    const acts: Promise<string>[] = []
    const expected: Record<string, string[]> = { a: [], b: [], c: [] }
    for (let number = 0; number < 40; number++) {
      const key = ['a', 'b', 'c'][random(3)]!
      const item = `${key} ${number}`
      expected[key]!.push(item)
      if (random(5) === 0)
        acts.push(
          commits.alone(key, async (tx) => {
            if (random(3) === 0) throw new RowHeld()
            await write(tx, item)
            return item
          }),
        )
      else acts.push(commits.submit(key, item))
      if (random(4) === 0) await new Promise((resolve) => setTimeout(resolve, random(40)))
    }
    await Promise.all(acts)
    await commits.idle()
    for (const [key, items] of Object.entries(expected))
      expect([seed, scripted.committed.filter((item) => item.startsWith(key))]).toEqual([seed, items])
  }
  await Promise.all(Array.from({ length: 40 }, (_, index) => play(index + 1)))
})

test('a lock timeout is found by halves, and only those whose row is held wait on', async () => {
  const scripted = scriptedDb()
  let isLocked = true
  const { commits, splits } = committer(scripted, {
    async run(tx, items) {
      if (isLocked && items.includes('c')) throw new DatabaseUnavailable('not-applied', '55P03', true)
      await Promise.all(items.map((item) => write(tx, item)))
      return items.map((item) => ({ answer: item }))
    },
  })
  const others = ['a', 'b', 'd'].map((item) => commits.submit(item, item))
  const stuck = commits.submit('c', 'c')
  expect(await Promise.all(others)).toEqual(['a', 'b', 'd'])
  expect(splits).toContain(4)
  isLocked = false
  expect(await stuck).toBe('c')
})

test('one whose statement is cancelled or meets a damaged row is refused alone', async () => {
  for (const code of ['57014', 'XX002']) {
    const scripted = scriptedDb()
    const { commits } = committer(scripted, {
      async run(tx, items) {
        if (items.includes('c')) throw new DatabaseUnavailable('not-applied', code, true)
        await Promise.all(items.map((item) => write(tx, item)))
        return items.map((item) => ({ answer: item }))
      },
    })
    const [a, b, c, d] = await Promise.allSettled(['a', 'b', 'c', 'd'].map((item) => commits.submit(item, item)))
    expect([a, b, d].map((one) => one!.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
    expect(c).toMatchObject({ status: 'rejected', reason: { code, outcome: 'not-applied' } })
  }
})

test('when the connection fails, those who wait behind are told at once, and that nothing of theirs was done', async () => {
  const scripted = scriptedDb()
  const { heldKeys, run } = holdable()
  const { commits } = committer(scripted, { batchMax: 2, run })
  heldKeys.add('held')
  const aside = commits.submit('held', 'held 1')
  await commits.submit('ward', 'ward 0')
  scripted.hold()
  scripted.failWith(() => new DatabaseUnavailable('unknown', 'ECONNRESET'))
  const acts = [1, 2, 3, 4, 5].map((number) => commits.submit('ward', `ward ${number}`))
  const alone = commits.alone('ward', async () => 'alone')
  await new Promise((resolve) => setImmediate(resolve))
  const before = scripted.transactions
  scripted.release()
  const settled = await Promise.allSettled([...acts, alone, aside])
  const outcomes = settled.map((one) => one.status === 'rejected' && (one.reason as DatabaseUnavailable).outcome)
  const [unknown, none] = ['unknown', 'not-applied']
  expect(outcomes).toEqual([unknown, unknown, none, none, none, none, none])
  expect(scripted.transactions).toBeLessThanOrEqual(before + 1)
  scripted.failWith(() => undefined)
  expect(await commits.submit('ward', 'ward 6')).toBe('ward 6')
})

test('who has waited long enough is told so, also behind a transaction that hangs, which still gets its own answer', async () => {
  const scripted = scriptedDb()
  const { heldKeys, run } = holdable()
  const { commits } = committer(scripted, { run, waitMsMax: 100 })
  heldKeys.add('held')
  const late = { code: 'waited-too-long', outcome: 'not-applied' }
  await expect(commits.submit('held', 'held 1')).rejects.toMatchObject(late)
  scripted.hold()
  const inFlight = commits.submit('ward', 'ward 1')
  await new Promise((resolve) => setImmediate(resolve))
  const waiting = [commits.submit('ward', 'ward 2'), commits.alone('ward', async () => 'alone')]
  for (const one of waiting) await expect(one).rejects.toMatchObject(late)
  scripted.release()
  expect(await inFlight).toBe('ward 1')
  await commits.idle()
  expect(scripted.committed).toEqual(['ward 1'])
  expect(await commits.submit('ward', 'ward 3')).toBe('ward 3')
})

test('a queue is full when its bytes are, a batch carries a quarter of them, and one large item is always taken', async () => {
  const scripted = scriptedDb()
  const { commits, told } = committer(scripted, { queueBytesMax: 40, bytesOf: (item) => item.length })
  scripted.hold()
  const acts = Array.from({ length: 8 }, (_, index) => commits.submit('ward', `item${index}`))
  await expect(commits.submit('ward', 'x')).rejects.toThrow('overloaded')
  scripted.release()
  await Promise.all(acts)
  expect(told.map((batch) => batch.length)).toEqual([2, 2, 2, 2])
  expect(await commits.submit('ward', 'y'.repeat(100))).toContain('is durable')
})

test('those who wait for one held row leave room for the others', async () => {
  const scripted = scriptedDb()
  const { heldKeys, run } = holdable()
  const { commits } = committer(scripted, { run, queueMax: 16, waitMsMax: 300 })
  heldKeys.add('held')
  const first = commits.submit('held', 'held 0')
  await commits.submit('ward', 'ward 0')
  const crowd = Array.from({ length: 20 }, (_, index) => commits.submit('held', `held ${index + 1}`))
  const settled = Promise.allSettled([first, ...crowd])
  const ward = Array.from({ length: 10 }, (_, index) => commits.submit('ward', `ward ${index}`))
  expect(await Promise.all(ward)).toHaveLength(10)
  const reasons = (await settled).map((one) => (one.status === 'rejected' ? (one.reason as Error).message : 'done'))
  expect(reasons.filter((reason) => reason === 'overloaded').length).toBeGreaterThan(15)
})
