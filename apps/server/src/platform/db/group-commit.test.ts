import { expect, test } from 'vitest'
import { DatabaseUnavailable } from './errors.ts'
import { createGroupCommit, laneOf, type GroupCommitOptions } from './group-commit.ts'
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
