import assert from 'node:assert/strict'
import { DatabaseUnavailable } from './errors.ts'
import type { Db, LaneTx } from './tx.ts'

/**
 * Group commit: many callers, one transaction. While a lane's transaction is in flight, arrivals wait and go together in
 * the next one: no timer on an idle system, one fsync for many acts. Each item gets its own answer; the batch function
 * gives verdicts per item and throws only when the transaction as a whole cannot be.
 *
 * Items are hashed to lanes by a key, so that what must stay in order does, and a stalled one holds up its lane only.
 */
export interface GroupCommit<Item, Answer> {
  /**
   * Durability: resolves after the commit.
   * @throws what the item's verdict was, or DatabaseUnavailable
   */
  submit(key: string, item: Item): Promise<Answer>
  /**
   * Runs alone in a transaction of the key's lane, in order with the batches before and after it.
   * @param committed  told after the commit and before any later batch of the lane begins
   */
  alone<T>(key: string, fn: (tx: LaneTx) => Promise<T>, committed?: (result: T) => void): Promise<T>
  /** Resolves when nothing is waiting or in flight. */
  idle(): Promise<void>
}

export type Verdict<Answer> = { readonly answer: Answer } | { readonly refusal: Error }

export interface GroupCommitOptions<Item, Answer> {
  readonly db: Db
  readonly batchMax: number
  readonly queueMax: number
  /** What a caller gets when the queue is full. */
  readonly overloaded: () => Error
  /** Gives one verdict per item, in their order. May run again for the same items: it has no effect outside `tx`. */
  run(tx: LaneTx, items: readonly Item[]): Promise<readonly Verdict<Answer>[]>
  /**
   * Told after each commit, in commit order per lane, before the callers are answered. What it throws goes to `onError`:
   * what is durable is answered as such.
   */
  committed?(items: readonly Item[], verdicts: readonly Verdict<Answer>[]): void
  onSplit?(size: number, error: unknown): void
  onError(error: unknown): void
}

interface Waiting<Item, Answer> {
  readonly item: Item
  resolve(answer: Answer): void
  reject(error: unknown): void
}

type Work<Item, Answer> =
  | { readonly batch: Waiting<Item, Answer>[] }
  /** Settles its own caller and never rejects. */
  | { readonly solo: (lane: number) => Promise<void> }

interface LaneState<Item, Answer> {
  readonly queue: Work<Item, Answer>[]
  /** Items that wait or are in flight. */
  size: number
  /** Never rejects. undefined: nothing waits and nothing is in flight. */
  running: Promise<void> | undefined
}

export function createGroupCommit<Item, Answer>(options: GroupCommitOptions<Item, Answer>): GroupCommit<Item, Answer> {
  const lanes = Array.from({ length: options.db.lanes }, (): LaneState<Item, Answer> => ({
    queue: [],
    size: 0,
    running: undefined,
  }))

  function enqueue(key: string, work: Work<Item, Answer>): void {
    const index = laneOf(key, lanes.length)
    const lane = lanes[index]!
    if (lane.size >= options.queueMax) throw options.overloaded()
    const last = lane.queue.at(-1)
    if ('batch' in work && last !== undefined && 'batch' in last && last.batch.length < options.batchMax)
      last.batch.push(...work.batch)
    else lane.queue.push(work)
    lane.size++
    // One turn of the event loop lets what arrived together go together.
    lane.running ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => drain(index))
  }

  /** Nothing is awaited between finding the queue empty and saying so: whoever arrives later starts the lane anew. */
  async function drain(index: number): Promise<void> {
    const lane = lanes[index]!
    for (let work = lane.queue.shift(); work !== undefined; work = lane.queue.shift()) {
      const size = 'batch' in work ? work.batch.length : 1
      if ('batch' in work) await commitBatch(options, index, work.batch)
      else await work.solo(index)
      lane.size -= size
    }
    lane.running = undefined
  }

  async function runAlone<T>(
    lane: number,
    fn: (tx: LaneTx) => Promise<T>,
    committed: ((result: T) => void) | undefined,
  ): Promise<T> {
    const result = await options.db.lane(lane).withTx(fn)
    tell(options, () => committed?.(result))
    return result
  }

  return {
    submit: (key, item) =>
      new Promise<Answer>((resolve, reject) => enqueue(key, { batch: [{ item, resolve, reject }] })),
    alone: <T>(key: string, fn: (tx: LaneTx) => Promise<T>, committed?: (result: T) => void) =>
      new Promise<T>((resolve, reject) =>
        enqueue(key, { solo: (lane) => runAlone(lane, fn, committed).then(resolve, reject) }),
      ),
    async idle() {
      while (lanes.some((lane) => lane.running !== undefined))
        await Promise.all(lanes.flatMap(({ running }) => (running === undefined ? [] : [running])))
    },
  }
}

function tell<Item, Answer>(options: GroupCommitOptions<Item, Answer>, fn: () => void): void {
  try {
    fn()
  } catch (error) {
    options.onError(error)
  }
}

/** One transaction for the batch. If the database refuses it as a whole, halves find the item that it refuses. */
async function commitBatch<Item, Answer>(
  options: GroupCommitOptions<Item, Answer>,
  lane: number,
  batch: readonly Waiting<Item, Answer>[],
): Promise<void> {
  const items = batch.map(({ item }) => item)
  let verdicts: readonly Verdict<Answer>[]
  try {
    verdicts = await options.db.lane(lane).withTx(async (tx) => {
      const found = await options.run(tx, items)
      assert(
        items.every((_, index) => found[index] !== undefined),
        'Every item of a batch has its verdict',
      )
      return found
    })
  } catch (error) {
    if (batch.length === 1 || error instanceof DatabaseUnavailable) {
      for (const waiting of batch) waiting.reject(error)
      return
    }
    tell(options, () => options.onSplit?.(batch.length, error))
    const middle = batch.length >> 1
    await commitBatch(options, lane, batch.slice(0, middle))
    await commitBatch(options, lane, batch.slice(middle))
    return
  }
  // ══ the commit point: everything below only tells about what is durable ══
  tell(options, () => options.committed?.(items, verdicts))
  batch.forEach((waiting, index) => {
    const verdict = verdicts[index]!
    if ('answer' in verdict) waiting.resolve(verdict.answer)
    else waiting.reject(verdict.refusal)
  })
}

/** FNV-1a (32 bit): spreads keys evenly and cheaply; it protects nothing. */
export function laneOf(key: string, lanes: number): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193)
  return (hash >>> 0) % lanes
}
