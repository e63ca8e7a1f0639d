import assert from 'node:assert/strict'
import type { Clock } from '../time/clock.ts'
import { DatabaseUnavailable, isLockTimeout, mayBeOfOneAct } from './errors.ts'
import { createLaneQueue, type LaneQueue, type QueueLimits, type Waiter } from './lane-queue.ts'
import type { Db, LaneTx } from './tx.ts'

/**
 * Group commit: many callers, one transaction. While a lane's transaction is in flight, arrivals wait and go together in
 * the next one: no timer on an idle system, one fsync for many acts. Each item gets its own answer; the batch function
 * gives verdicts per item and throws only when the transaction as a whole cannot be.
 *
 * Items are hashed to lanes by a key, so that what must stay in order does, and a stalled one holds up its lane only. An
 * item that meets a row which another transaction holds leaves the lane and is tried again, its key's later items in order
 * behind it (`lane-queue.ts`): the others of the lane go on.
 *
 * | what becomes of an item | its caller gets |
 * |---|---|
 * | the batch committed | its answer, or its refusal |
 * | the database refused the batch for reasons that one item may have | the same after halves have found the item |
 * | the outcome of the commit is unknown | DatabaseUnavailable `unknown` |
 * | the database cannot be reached | DatabaseUnavailable; who waits in that lane, too (`not-applied`) |
 * | it waited `waitMsMax` for its turn | DatabaseUnavailable `not-applied`: it never was in an unfinished transaction |
 */
export interface GroupCommit<Item, Answer> {
  /**
   * Durability: resolves after the commit.
   * @throws what the item's verdict was, or DatabaseUnavailable
   */
  submit(key: string, item: Item): Promise<Answer>
  /**
   * Runs alone in a transaction of the key's lane, in order with the batches before and after it. It may run again when it
   * throws RowHeld or meets a lock timeout.
   * @param committed  told after the commit and before any later batch of the lane begins
   */
  alone<T>(key: string, fn: (tx: LaneTx) => Promise<T>, committed?: (result: T) => void): Promise<T>
  /** Resolves when nothing is waiting or in flight. */
  idle(): Promise<void>
}

export type Verdict<Answer> = { readonly answer: Answer } | { readonly refusal: Error }

/** A verdict: another transaction holds a row that this item needs, which is tried again later. It has had no effect. */
export const held = { held: true } as const

export type BatchVerdict<Answer> = Verdict<Answer> | typeof held

/** What runs alone throws this when another transaction holds its row. */
export class RowHeld extends Error {
  override readonly name = 'RowHeld'
}

export interface GroupCommitOptions<Item, Answer> extends QueueLimits {
  readonly db: Db
  readonly clock: Clock
  /** What an item keeps in memory while it waits, in bytes; nothing worth counting when not given. */
  readonly bytesOf?: (item: Item) => number
  /** What a caller gets when the queue is full. */
  readonly overloaded: () => Error
  /** Gives one verdict per item, in their order. May run again for the same items: it has no effect outside `tx`. */
  run(tx: LaneTx, items: readonly Item[]): Promise<readonly BatchVerdict<Answer>[]>
  /**
   * Told after each commit, in commit order per lane, before the callers are answered. What it throws goes to `onError`:
   * what is durable is answered as such.
   */
  committed?(items: readonly Item[], verdicts: readonly Verdict<Answer>[]): void
  onSplit?(size: number, error: unknown): void
  onError(error: unknown): void
}

/** What waits: an item, or something that runs alone and answers its caller itself when it is durable. */
type Act<Item, Answer> =
  | { readonly item: Item; resolve(answer: Answer): void }
  | { readonly solo: (lane: number) => Promise<void> }

type Acting<Item, Answer> = Waiter<Act<Item, Answer>>
type ItemWaiter<Item, Answer> = Waiter<Extract<Act<Item, Answer>, { readonly item: Item }>>

export function createGroupCommit<Item, Answer>(options: GroupCommitOptions<Item, Answer>): GroupCommit<Item, Answer> {
  const lanes = Array.from({ length: options.db.lanes }, (_, index) => {
    const queue: LaneQueue<Act<Item, Answer>> = createLaneQueue(options, {
      isAlone: (act) => 'solo' in act,
      work: (waiters) => work(index, queue, waiters),
    })
    return queue
  })

  async function work(lane: number, queue: LaneQueue<Act<Item, Answer>>, waiters: readonly Acting<Item, Answer>[]) {
    const [first] = waiters
    if (first === undefined || !('solo' in first.act))
      return commitBatch(options, queue, lane, waiters as readonly ItemWaiter<Item, Answer>[])
    await runSolo(queue, lane, first, first.act.solo)
    return undefined
  }

  function enqueue(key: string, bytes: number, act: Act<Item, Answer>, reject: (error: unknown) => void): void {
    if (!lanes[laneOf(key, lanes.length)]!.add({ key, bytes, act, reject })) reject(options.overloaded())
  }

  return {
    submit: (key, item) =>
      new Promise<Answer>((resolve, reject) => enqueue(key, options.bytesOf?.(item) ?? 0, { item, resolve }, reject)),
    alone: <T>(key: string, fn: (tx: LaneTx) => Promise<T>, committed?: (result: T) => void) =>
      new Promise<T>((resolve, reject) => {
        const solo = async (lane: number) => {
          const result = await options.db.lane(lane).withTx(fn)
          tell(options, () => committed?.(result))
          resolve(result)
        }
        enqueue(key, 0, { solo }, reject)
      }),
    async idle() {
      while (lanes.some((lane) => lane.settled() !== undefined))
        await Promise.all(lanes.map(async (lane) => lane.settled()))
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

async function runSolo<Act>(
  queue: LaneQueue<Act>,
  lane: number,
  waiter: Waiter<Act>,
  solo: (lane: number) => Promise<void>,
): Promise<void> {
  try {
    await solo(lane)
    queue.done(waiter)
  } catch (error) {
    if (error instanceof RowHeld || isLockTimeout(error)) queue.holdBack([waiter])
    else fail(queue, [waiter], error)
  }
}

/** Tells who was in the transaction; without a database those who wait are told, too, instead of finding out one by one. */
function fail<Act>(queue: LaneQueue<Act>, waiters: readonly Waiter<Act>[], error: unknown): void {
  for (const waiter of waiters) {
    queue.done(waiter)
    waiter.reject(error)
  }
  if (error instanceof DatabaseUnavailable && !error.isAnswered)
    queue.rejectAll(new DatabaseUnavailable('not-applied', error.code))
}

/**
 * One transaction for the batch. If the database refuses it as a whole, halves find the item that it refuses.
 * @returns what gives the answers, when there are any
 */
async function commitBatch<Item, Answer>(
  options: GroupCommitOptions<Item, Answer>,
  queue: LaneQueue<Act<Item, Answer>>,
  lane: number,
  given: readonly ItemWaiter<Item, Answer>[],
): Promise<(() => void) | undefined> {
  const batch = given.filter((waiter) => queue.mayRun(waiter))
  if (batch.length === 0) return undefined
  const items = batch.map(({ act }) => act.item)
  let verdicts: readonly BatchVerdict<Answer>[]
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
    if (batch.length === 1 && isLockTimeout(error)) queue.holdBack(batch)
    else if (batch.length === 1 || !mayBeOfOneAct(error)) fail(queue, batch, error)
    else return commitHalves(options, queue, lane, batch, error)
    return undefined
  }
  // ══ the commit point: everything below only tells about what is durable ══
  queue.holdBack(batch.filter((_, index) => 'held' in verdicts[index]!))
  return () => answer(options, queue, batch, verdicts)
}

async function commitHalves<Item, Answer>(
  options: GroupCommitOptions<Item, Answer>,
  queue: LaneQueue<Act<Item, Answer>>,
  lane: number,
  batch: readonly ItemWaiter<Item, Answer>[],
  error: unknown,
): Promise<(() => void) | undefined> {
  tell(options, () => options.onSplit?.(batch.length, error))
  const middle = batch.length >> 1
  const tellFirst = await commitBatch(options, queue, lane, batch.slice(0, middle))
  tellFirst?.()
  return commitBatch(options, queue, lane, batch.slice(middle))
}

function answer<Item, Answer>(
  options: GroupCommitOptions<Item, Answer>,
  queue: LaneQueue<Act<Item, Answer>>,
  batch: readonly ItemWaiter<Item, Answer>[],
  verdicts: readonly BatchVerdict<Answer>[],
): void {
  const judged: { readonly waiter: ItemWaiter<Item, Answer>; readonly verdict: Verdict<Answer> }[] = []
  batch.forEach((waiter, index) => {
    const verdict = verdicts[index]!
    if (!('held' in verdict)) judged.push({ waiter, verdict })
  })
  if (judged.length === 0) return
  tell(options, () =>
    options.committed?.(
      judged.map(({ waiter }) => waiter.act.item),
      judged.map(({ verdict }) => verdict),
    ),
  )
  for (const { waiter, verdict } of judged) {
    queue.done(waiter)
    if ('answer' in verdict) waiter.act.resolve(verdict.answer)
    else waiter.reject(verdict.refusal)
  }
}

/** FNV-1a (32 bit): spreads keys evenly and cheaply; it protects nothing. */
export function laneOf(key: string, lanes: number): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193)
  return (hash >>> 0) % lanes
}
