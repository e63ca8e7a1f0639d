import { dbLimits } from '../limits/db-limits.ts'
import type { Clock } from '../time/clock.ts'
import { DatabaseUnavailable } from './errors.ts'

/**
 * Those who wait for their turn in one lane of group commit, and those whose turn came while somebody else held their row.
 *
 * | state of a key | its waiters | left when |
 * |---|---|---|
 * | ordinary | in the lane, in order with everyone | one of them is held back |
 * | detour, pausing | aside, in order, with all that come for this key | the pause is over |
 * | detour, probing | in the lane, those that were aside; new ones aside | they ran: none held → ordinary, or the next |
 *
 * A detour costs the others of the lane nothing but a look at its rows in their own batches.
 */
export interface LaneQueue<Act> {
  /** @returns false when there is no room */
  add(arrival: Arrival<Act>): boolean
  /** May it run now? If not, it waits aside or has been told that its time is over. */
  mayRun(waiter: Waiter<Act>): boolean
  /** Its row is held by another: it is tried again later, and what came after it for its key waits behind it. */
  holdBack(waiters: readonly Waiter<Act>[]): void
  /** It has its answer, or is about to. */
  done(waiter: Waiter<Act>): void
  /** Everybody who waits gets this; who is in flight does not. */
  rejectAll(error: Error): void
  /** undefined: nobody waits and nothing is in flight; else it resolves when that may be so. */
  settled(): Promise<unknown> | undefined
}

export interface QueueLimits {
  readonly clock: Clock
  /** Items of one batch. */
  readonly batchMax: number
  /** Items that may wait or be in flight, in a lane; of one key whose row is held, an eighth of it. */
  readonly queueMax: number
  /** What they may keep in memory; a quarter of it in one batch. As much as there is when not given. */
  readonly queueBytesMax?: number
  /** How long one waits for its turn. */
  readonly waitMsMax?: number
}

interface Arrival<Act> {
  readonly key: string
  readonly bytes: number
  readonly act: Act
  reject(error: unknown): void
}

export interface Waiter<Act> extends Arrival<Act> {
  /** Place in the order of arrival. */
  readonly order: number
  readonly sinceMs: number
}

interface Detour<Act> {
  readonly aside: Waiter<Act>[]
  /** In the lane or in flight again. */
  readonly probing: Set<Waiter<Act>>
  /** One of those in flight was held: those behind it must not run before it. */
  wasHeld: boolean
  isPausing: boolean
  pauseMs: number
  readonly over: PromiseWithResolvers<void>
}

interface Worker<Act> {
  /** It never shares a turn with others. */
  isAlone(act: Act): boolean
  /**
   * Gives the waiters their turn; calls `done` or `holdBack` for each. Never rejects.
   * @returns what tells them, if it may wait until the next turn has begun: the database works while they are told
   */
  work(waiters: readonly Waiter<Act>[]): Promise<(() => void) | undefined>
}

export function createLaneQueue<Act>(limits: QueueLimits, worker: Worker<Act>): LaneQueue<Act> {
  const { clock, batchMax, queueMax, queueBytesMax = Infinity, waitMsMax = dbLimits.queueWaitMs } = limits
  let queue: Waiter<Act>[] = []
  const detours = new Map<string, Detour<Act>>()
  let size = 0
  let bytes = 0
  let arrivals = 0
  let running: Promise<void> | undefined
  let untold: (() => void) | undefined
  let isWatched = false

  function add(arrival: Arrival<Act>): boolean {
    const detour = detours.get(arrival.key)
    const isFull = size >= queueMax || (size > 0 && bytes + arrival.bytes > queueBytesMax)
    // Those who wait for one held row must not take all the room of the others.
    if (isFull || (detour !== undefined && detour.aside.length >= Math.ceil(queueMax / 8))) return false
    const waiter = { ...arrival, order: arrivals++, sinceMs: clock.monotonicMs() }
    size++
    bytes += waiter.bytes
    if (detour !== undefined) detour.aside.push(waiter)
    else queue.push(waiter)
    start()
    watch()
    return true
  }

  function start(): void {
    // One turn of the event loop lets what arrived together go together.
    if (queue.length > 0) running ??= new Promise<void>((resolve) => setImmediate(resolve)).then(drain)
  }

  /**
   * Those of a turn are told while the database works on the next one, and before anything of the next one is told.
   * Nothing is awaited between finding the queue empty and saying so: whoever arrives later starts the lane anew.
   */
  async function drain(): Promise<void> {
    while (queue.length > 0) {
      const turn = takeTurn()
      if (turn.some(({ act }) => worker.isAlone(act))) tellLast()
      else if (untold !== undefined) setImmediate(tellLast)
      const tell = await worker.work(turn)
      tellLast()
      untold = tell
      if (queue.length === 0) tellLast()
    }
    running = undefined
  }

  function tellLast(): void {
    const tell = untold
    untold = undefined
    tell?.()
  }

  function takeTurn(): readonly Waiter<Act>[] {
    let count = 0
    let taken = 0
    for (const waiter of queue) {
      if (count > 0 && (count === batchMax || taken + waiter.bytes > queueBytesMax / 4)) break
      if (worker.isAlone(waiter.act)) {
        count ||= 1
        break
      }
      taken += waiter.bytes
      count++
    }
    return queue.splice(0, count).filter(mayRun)
  }

  function mayRun(waiter: Waiter<Act>): boolean {
    const detour = detours.get(waiter.key)
    if (isLate(waiter)) return expire(waiter)
    if (detour === undefined || (detour.probing.has(waiter) && !detour.wasHeld)) return true
    setAside(detour, waiter)
    goOn(waiter.key, detour)
    return false
  }

  /** Those of its key that came earlier may be set aside later, when their turn in the lane comes. */
  function setAside(detour: Detour<Act>, waiter: Waiter<Act>): void {
    detour.probing.delete(waiter)
    detour.aside.push(waiter)
    detour.aside.sort((a, b) => a.order - b.order)
  }

  function holdBack(waiters: readonly Waiter<Act>[]): void {
    for (const waiter of waiters) {
      const detour = detours.get(waiter.key) ?? beginDetour(waiter.key)
      detour.wasHeld = true
      setAside(detour, waiter)
    }
    for (const key of new Set(waiters.map((waiter) => waiter.key))) goOn(key, detours.get(key)!)
  }

  function beginDetour(key: string): Detour<Act> {
    const detour: Detour<Act> = {
      aside: [],
      probing: new Set(),
      wasHeld: false,
      isPausing: false,
      pauseMs: dbLimits.heldRetryMs,
      over: Promise.withResolvers<void>(),
    }
    detours.set(key, detour)
    return detour
  }

  /** When all that were probing have run: a pause, the next ones, or the end of the detour. */
  function goOn(key: string, detour: Detour<Act>): void {
    if (detour.probing.size > 0 || detour.isPausing) return
    if (detour.wasHeld) pause(key, detour)
    else probe(key, detour)
  }

  function pause(key: string, detour: Detour<Act>): void {
    detour.wasHeld = false
    detour.isPausing = true
    setTimeout(() => {
      detour.isPausing = false
      probe(key, detour)
    }, detour.pauseMs)
    detour.pauseMs = Math.min(2 * detour.pauseMs, dbLimits.heldRetryMsMax)
  }

  function probe(key: string, detour: Detour<Act>): void {
    const waiters = detour.aside.splice(0)
    for (const waiter of waiters) detour.probing.add(waiter)
    queue.push(...waiters)
    if (waiters.length === 0) {
      detours.delete(key)
      detour.over.resolve()
    }
    start()
  }

  function done(waiter: Waiter<Act>): void {
    size--
    bytes -= waiter.bytes
    const detour = detours.get(waiter.key)
    if (detour?.probing.delete(waiter) !== true) return
    detour.pauseMs = dbLimits.heldRetryMs
    goOn(waiter.key, detour)
  }

  function isLate(waiter: Waiter<Act>): boolean {
    return clock.monotonicMs() - waiter.sinceMs >= waitMsMax
  }

  function expire(waiter: Waiter<Act>): false {
    done(waiter)
    waiter.reject(new DatabaseUnavailable('not-applied', 'waited-too-long'))
    return false
  }

  /** While somebody waits, those whose time is over are told, also when the lane's transaction hangs. */
  function watch(): void {
    if (isWatched) return
    isWatched = true
    const timer = setTimeout(() => {
      isWatched = false
      removeWaiting(isLate).forEach(expire)
      if (size > 0) watch()
    }, waitMsMax / 10)
    timer.unref()
  }

  function removeWaiting(isMeant: (waiter: Waiter<Act>) => boolean): readonly Waiter<Act>[] {
    const removed = [...queue, ...[...detours.values()].flatMap(({ aside }) => aside)].filter(isMeant)
    if (removed.length === 0) return removed
    const gone = new Set(removed)
    queue = queue.filter((waiter) => !gone.has(waiter))
    for (const { aside } of detours.values()) aside.splice(0, aside.length, ...aside.filter((one) => !gone.has(one)))
    return removed
  }

  function rejectAll(error: Error): void {
    for (const waiter of removeWaiting(() => true)) {
      done(waiter)
      waiter.reject(error)
    }
  }

  return {
    add,
    mayRun,
    holdBack,
    done,
    rejectAll,
    settled: () =>
      running === undefined && detours.size === 0
        ? undefined
        : Promise.all([running, ...[...detours.values()].map(({ over }) => over.promise)]),
  }
}
