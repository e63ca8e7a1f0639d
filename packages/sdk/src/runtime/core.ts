import type { ConversationId, EntryId, SendablePayload, Sent, UserId } from '@sotto/protocol'
import type { Api } from '../api/api.ts'
import { sdkProblem, SottoProblem, toProblem } from '../api/problem.ts'
import { createListeners } from '../platform/live.ts'
import type { Clock } from '../platform/clock.ts'
import { uuidv7, type Random } from '../platform/random.ts'
import type { Storage } from '../storage/storage.port.ts'
import { isTakenBack, toRecord } from '../sync/outbox.ts'
import type { Effect, OutboxItem, OutboxRecord, Restored, SyncState } from '../sync/state.ts'
import { createEffects } from './effects.ts'
import { openPersistence, type Persistence } from './persistence.ts'
import { createRuntime, type Change, type Runtime } from './runtime.ts'
import type { SocketConstructor } from './socket.ts'
import { joinTabs, type ChannelLike, type LockManagerLike, type TabMessage, type Tabs } from './tabs.ts'

export interface CoreDeps {
  readonly api: Api
  readonly url: string
  readonly storage: Storage
  readonly clock: Clock
  readonly random: Random
  readonly WebSocket: SocketConstructor
  readonly locks: LockManagerLike | undefined
  readonly openChannel: ((name: string) => ChannelLike) | undefined
}

export type MessageHeader = OutboxRecord['header']

export interface DiscardOptions {
  /** Also when the server may have the message already. */
  readonly anyway?: boolean
}

/** A message that is stored on this device and will be sent. */
export interface Queued {
  readonly entryId: EntryId
  /** Resolves when the server has it; rejects with a SottoProblem when it never will, or when it was discarded. */
  readonly acknowledged: Promise<Sent>
}

/** The engine with everything around it; the live objects read from it and write to it. */
export interface Core {
  readonly api: Api
  readonly clock: Clock
  readonly random: Random
  readonly runtime: Runtime
  /** Called after every change, with what changed. */
  onChange(listener: (change: Change) => void): () => void
  /** Opens the user's store and starts the engine; may be tried again. @throws SottoProblem `sdk/storage-failed` */
  start(me: UserId): Promise<void>
  send(id: ConversationId, payload: SendablePayload, header: MessageHeader): Promise<Queued>
  retry(entryId: EntryId): void
  /** @throws SottoProblem `sdk/maybe-sent`, `sdk/storage-failed`, `sdk/timeout` */
  discard(entryId: EntryId, options?: DiscardOptions): Promise<void>
  /** Removes everything that is kept on this device for this user, here and in the other tabs' memory. */
  clear(): Promise<void>
  stop(): Promise<void>
}

interface Waiter<T = Sent> {
  resolve(value: T): void
  reject(problem: SottoProblem): void
}

/** Tabs of one browser answer at once, unless the browser has put the one that sends to sleep. */
const OTHER_TAB_MS = 3_000

export function createCore(deps: CoreDeps): Core {
  const listeners = new Set<(change: Change) => void>()
  const waiters = new Map<EntryId, Waiter>()
  /** Messages whose end was asked for here, of the tab that sends. */
  const asked = new Map<EntryId, Waiter<void>>()
  const started = createListeners()
  let opened: { readonly persistence: Persistence; readonly tabs: Tabs } | undefined
  let stopped = false
  let lastOrder = 0
  // What another tab has told is not told back.
  let hearing = false

  const perform = createEffects({
    api: deps.api,
    url: deps.url,
    WebSocket: deps.WebSocket,
    dispatch: (input) => runtime.dispatch(input),
    onLocal,
  })
  const runtime = createRuntime({
    clock: deps.clock,
    random: deps.random,
    perform,
    onChange: (change) => {
      for (const listener of listeners) listener(change)
    },
  })

  /** Disk and waiting callers follow the engine. A deletion that fails is repeated after the next start: same id, same seq. */
  function onLocal(effect: Effect): void {
    if (effect.type === 'settled') {
      void opened?.persistence.deleteOutbox(effect.item).catch(ignore)
      tell({ type: 'settled', entryId: effect.item.entryId, sent: effect.sent })
      waiters.get(effect.item.entryId)?.resolve(effect.sent)
      waiters.delete(effect.item.entryId)
    }
    if (effect.type === 'failed') {
      const { entryId } = effect.item
      void opened?.persistence.putOutbox(toRecord(effect.item)).catch(ignore)
      tell({ type: 'failed', entryId, problem: effect.problem })
      waiters.get(entryId)?.reject(new SottoProblem(effect.problem))
      waiters.delete(entryId)
    }
    if (effect.type === 'not-kept') {
      const record = toRecord(effect.item)
      void opened?.persistence.putOutbox(record).catch(ignore)
      tell({ type: 'added', record })
    }
    if (effect.type === 'remember') void opened?.persistence.remember(effect).catch(ignore)
  }

  function tell(message: TabMessage): void {
    if (!hearing) opened?.tabs.tell(message)
  }

  function onTabMessage(message: TabMessage): void {
    hearing = true
    try {
      hear(message)
    } finally {
      hearing = false
    }
  }

  function hear(message: TabMessage): void {
    switch (message.type) {
      case 'added':
        lastOrder = Math.max(lastOrder, message.record.order)
        return runtime.dispatch({ type: 'outbox-add', record: message.record, stored: true })
      case 'settled':
        return runtime.dispatch({ type: 'outbox-sent', entryId: message.entryId, sent: message.sent })
      case 'failed':
        return runtime.dispatch({ type: 'outbox-refused', entryId: message.entryId, problem: message.problem })
      case 'retry':
        return runtime.dispatch({ type: 'outbox-retry', entryId: message.entryId })
      case 'discard':
        return answerDiscard(message.entryId, message.anyway)
      case 'discarded':
        runtime.dispatch({ type: 'outbox-drop', entryId: message.entryId })
        return onDiscarded(message.entryId, message.maybeSent)
      case 'kept':
        return asked.get(message.entryId)?.reject(new SottoProblem(message.problem))
      case 'signed-out':
        return runtime.dispatch({ type: 'end', reason: 'signed-out' })
    }
  }

  async function onLeading(persistence: Persistence): Promise<void> {
    // What is stored while the disk is read may be missing in what is read.
    const heldBefore = new Set(itemsOf(runtime.getState()).flatMap(({ stored, entryId }) => (stored ? [entryId] : [])))
    const records = await persistence.loadOutbox().catch(() => null)
    const outbox = records === null ? null : { records, heldBefore }
    runtime.dispatch({ type: 'leader', leader: true, outbox })
  }

  async function open(me: UserId): Promise<{ readonly persistence: Persistence; readonly restored: Restored }> {
    const persistence = await openPersistence(deps.storage, deps.url, me)
    try {
      return { persistence, restored: await persistence.load() }
    } catch (error) {
      await persistence.close().catch(ignore)
      throw error
    }
  }

  /** @throws SottoProblem when the connection was closed, or has ended before the user's store could be opened */
  function whenOpened(): Promise<NonNullable<typeof opened>> {
    if (opened !== undefined) return Promise.resolve(opened)
    return new Promise((resolve, reject) => {
      const stopWaiting = [started.subscribe(look), subscribe(look)]
      look()
      function look(): void {
        const { phase, problem } = runtime.getState().link
        if (opened === undefined && phase !== 'ended') return
        for (const stop of stopWaiting) stop()
        if (opened !== undefined) resolve(opened)
        else reject(problem === null ? sdkProblem('sdk/closed') : new SottoProblem(problem))
      }
    })
  }

  function subscribe(listener: (change: Change) => void): () => void {
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }

  /** In the tab that sends. A deletion that fails leaves the message where it was. */
  async function discardHere(entryId: EntryId, anyway: boolean): Promise<void> {
    const { persistence, tabs } = await whenOpened()
    const item = findOutboxItem(runtime.getState(), entryId)
    if (item === undefined || item.state === 'sent') throw sdkProblem('sdk/maybe-sent')
    const isForGood = isTakenBack(item)
    if (!isForGood && !anyway) throw sdkProblem('sdk/maybe-sent')
    runtime.dispatch({ type: 'outbox-drop', entryId })
    try {
      await persistence.deleteOutbox(item)
    } catch (error) {
      runtime.dispatch({ type: 'outbox-add', record: toRecord(item), stored: true, maybeSent: !isForGood })
      throw sdkProblem('sdk/storage-failed', error)
    }
    onDiscarded(entryId, !isForGood)
    tabs.tell({ type: 'discarded', entryId, maybeSent: !isForGood })
  }

  function onDiscarded(entryId: EntryId, maybeSent: boolean): void {
    waiters.get(entryId)?.reject(sdkProblem(maybeSent ? 'sdk/maybe-sent' : 'sdk/discarded'))
    waiters.delete(entryId)
    asked.get(entryId)?.resolve()
  }

  function answerDiscard(entryId: EntryId, anyway: boolean): void {
    if (!runtime.getState().leader) return
    discardHere(entryId, anyway).catch((error: unknown) => {
      opened?.tabs.tell({ type: 'kept', entryId, problem: toProblem(error).toDocument() })
    })
  }

  async function askToDiscard(entryId: EntryId, anyway: boolean): Promise<void> {
    const { tabs } = await whenOpened()
    const decided = new Promise<void>((resolve, reject) => asked.set(entryId, { resolve, reject }))
    const cancelTimer = deps.clock.setTimer(OTHER_TAB_MS, () => asked.get(entryId)?.reject(sdkProblem('sdk/timeout')))
    tabs.tell({ type: 'discard', entryId, anyway })
    await decided.finally(() => {
      cancelTimer()
      asked.delete(entryId)
    })
  }

  return {
    api: deps.api,
    clock: deps.clock,
    random: deps.random,
    runtime,
    onChange: subscribe,

    async start(me) {
      const { persistence, restored } = await open(me).catch((error: unknown) => {
        throw sdkProblem('sdk/storage-failed', error)
      })
      if (stopped) return await persistence.close()
      lastOrder = Math.max(0, ...restored.outbox.map(({ order }) => order))
      const { shared } = deps.storage
      if (shared) runtime.dispatch({ type: 'leader', leader: false, outbox: null })
      const tabs = joinTabs({
        namespace: `${deps.url} ${me}`,
        locks: shared ? deps.locks : undefined,
        openChannel: shared ? deps.openChannel : undefined,
        onLeading: () => void (shared ? onLeading(persistence) : undefined),
        onMessage: onTabMessage,
      })
      opened = { persistence, tabs }
      runtime.dispatch({ type: 'start', me, restored })
      started.notify()
    },

    async send(conversationId, payload, header) {
      if (stopped) throw sdkProblem('sdk/closed')
      // What was stored before comes first, so its places in the queue must be known.
      const { persistence, tabs } = await whenOpened()
      const entryId = uuidv7(deps.clock.now(), deps.random) as EntryId
      lastOrder += 1
      const record: OutboxRecord = {
        entryId,
        conversationId,
        order: lastOrder,
        payload,
        header,
        clientSentAt: new Date(deps.clock.now()).toISOString(),
        problem: null,
      }
      const acknowledged = new Promise<Sent>((resolve, reject) => waiters.set(entryId, { resolve, reject }))
      // Who does not look at the answer sees the message itself fail; nothing is unhandled.
      acknowledged.catch(ignore)
      // Shown at once, sent when it is on the disk.
      runtime.dispatch({ type: 'outbox-add', record, stored: false })
      try {
        await persistence.putOutbox(record)
      } catch (error) {
        runtime.dispatch({ type: 'outbox-drop', entryId })
        waiters.delete(entryId)
        throw sdkProblem('sdk/storage-failed', error)
      }
      // Discarded meanwhile: then the other tabs need not hear of it.
      if (findOutboxItem(runtime.getState(), entryId) !== undefined) tabs.tell({ type: 'added', record })
      runtime.dispatch({ type: 'outbox-stored', entryId })
      return { entryId, acknowledged }
    },

    retry(entryId) {
      const item = findOutboxItem(runtime.getState(), entryId)
      if (item?.state !== 'failed') return
      void opened?.persistence.putOutbox({ ...toRecord(item), problem: null }).catch(ignore)
      runtime.dispatch({ type: 'outbox-retry', entryId })
      opened?.tabs.tell({ type: 'retry', entryId })
    },

    async discard(entryId, { anyway = false } = {}) {
      const state = runtime.getState()
      const item = findOutboxItem(state, entryId)
      if (item === undefined) return
      // What is not stored yet, only this tab knows of.
      if (state.leader || !item.stored) await discardHere(entryId, anyway)
      else await askToDiscard(entryId, anyway)
    },

    async clear() {
      opened?.tabs.tell({ type: 'signed-out' })
      await opened?.persistence.clear()
    },

    async stop() {
      if (stopped) return
      runtime.dispatch({ type: 'end', reason: 'closed' })
      stopped = true
      runtime.stop()
      const wasOpened = opened
      opened = undefined
      started.notify()
      for (const { reject } of [...waiters.values(), ...asked.values()]) reject(sdkProblem('sdk/closed'))
      waiters.clear()
      wasOpened?.tabs.close()
      await wasOpened?.persistence.close()
    },
  }
}

export function findOutboxItem(state: SyncState, entryId: EntryId): OutboxItem | undefined {
  return itemsOf(state).find((item) => item.entryId === entryId)
}

function itemsOf({ outbox }: SyncState): readonly OutboxItem[] {
  return [...outbox.values()].flat()
}

function ignore(): void {}
