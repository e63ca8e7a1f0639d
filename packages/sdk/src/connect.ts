import type { UserId } from '@sotto/protocol'
import { createApi, type Api } from './api/api.ts'
import { createHttp, type Fetch, type GetToken, type HttpOptions } from './api/http.ts'
import { SottoProblem, toProblem } from './api/problem.ts'
import { createConnection, type Connection } from './live/connection.ts'
import type { Conversation } from './live/conversation.ts'
import { createConversationList, type ConversationList } from './live/conversation-list.ts'
import { createOutbox, type Outbox } from './live/outbox.ts'
import { createPresence, type Presence } from './live/presence.ts'
import { systemClock, type Clock } from './platform/clock.ts'
import { absoluteUrl } from './platform/url.ts'
import { fraction, systemRandom, type Random } from './platform/random.ts'
import { createCore, type Core } from './runtime/core.ts'
import type { SocketConstructor } from './runtime/socket.ts'
import { watchDevice } from './runtime/device.ts'
import { backoffMs, retryBackoff } from './sync/backoff.ts'
import { indexedDbStorage } from './storage/indexeddb-storage.ts'
import { memoryStorage } from './storage/memory-storage.ts'
import type { Storage } from './storage/storage.port.ts'

export interface ConnectOptions {
  /** Of the server, as `https://chat.example.org`. In a page, `''` or a path mean the page's own origin. */
  readonly url: string
  /**
   * Gives an access token whenever one is needed. `refused` is one that the server did not take: then it must be
   * another one. Rejecting with a `SottoProblem` whose `retry` is `after-reauth` ends the connection; any other error is retried.
   */
  readonly getToken: GetToken
  /** Ends the session, for `sotto.signOut()`: a `Session` brings its own. Default: asks the server to end the token's. */
  readonly signOut?: () => Promise<void>
  /** Whose token it is. Without it the server is asked once, before anything that is stored is opened. */
  readonly userId?: string
  /** Where messages wait. Default: IndexedDB in a browser, memory elsewhere (`fileStorage` of `@sotto/sdk/node`). */
  readonly storage?: Storage
  readonly clock?: Clock
  readonly random?: Random
  readonly fetch?: Fetch
  readonly WebSocket?: SocketConstructor
}

/** A user's connection to one server. `await using sotto = connect(…)`, or call `close()`. */
export interface Sotto extends AsyncDisposable {
  /** Every HTTP operation, typed. */
  readonly api: Api
  readonly connection: Connection
  readonly conversations: ConversationList
  readonly presence: Presence
  readonly outbox: Outbox
  /** The user, as soon as she is known. */
  readonly userId: UserId | null
  /** Resolves when the list of conversations is complete for the first time; rejects when the connection ends before. */
  readonly ready: Promise<void>
  /** The live object of one conversation: always the same one for the same id. */
  conversation(conversationId: string): Conversation
  /** Tries now: after a new sign-in, or when the user does not want to wait for the next attempt. */
  reconnect(): void
  /**
   * Ends the session on the server and the connection here.
   *
   * @param options.clear  default true: removes what is stored on this device, messages that wait included
   */
  signOut(options?: { readonly clear?: boolean }): Promise<void>
  /** Closes the connection. What waits stays stored, and is sent by the next `connect`. */
  close(): Promise<void>
}

/** Signing out works without a network too: after this time the device is cleared anyway. */
const SIGN_OUT_MS = 5_000

/** Connects a user. Returns at once: everything is live, and `connection` says how far it has come. */
export function connect(options: ConnectOptions): Sotto {
  const url = absoluteUrl(options.url)
  const clock = options.clock ?? systemClock
  const random = options.random ?? systemRandom
  const http = createHttp({
    url,
    getToken: options.getToken,
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    clock,
    credentials: 'same-origin',
  })
  const api = createApi(http)
  const core = createCore({
    api,
    url,
    clock,
    random,
    storage: options.storage ?? defaultStorage(),
    WebSocket: options.WebSocket ?? WebSocket,
    locks: globalThis.navigator?.locks,
    openChannel: 'BroadcastChannel' in globalThis ? (name) => new BroadcastChannel(name) : undefined,
  })
  return createSotto(core, options)
}

function createSotto(core: Core, options: ConnectOptions): Sotto {
  const { runtime, api } = core
  const conversations = createConversationList(core)
  const stopWatching = watchDevice(runtime)
  const closing = new AbortController()
  const ready = whenReady(core)
  // Who does not await it sees the same in `connection`.
  ready.catch(() => {})
  const start = createStart(core, options.userId as UserId | undefined, closing.signal)
  start()

  async function close(): Promise<void> {
    closing.abort()
    stopWatching()
    await core.stop()
  }

  return {
    api,
    connection: createConnection(core),
    conversations,
    presence: createPresence(core),
    outbox: createOutbox(core),
    ready,
    get userId() {
      return runtime.getState().me
    },
    conversation: (conversationId) => conversations.get(conversationId),
    reconnect() {
      runtime.dispatch({ type: 'restart' })
      start()
    },
    async signOut({ clear = true } = {}) {
      runtime.dispatch({ type: 'end', reason: 'signed-out' })
      await (options.signOut ?? (() => endSession(api)))()
      if (clear) await core.clear()
      await close()
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/**
 * Finds out who the user is, opens her store and starts; without an answer from the server it goes on asking.
 *
 * @returns begins, or begins again after an end, or asks now instead of later; does nothing once it has started
 */
function createStart(core: Core, userId: UserId | undefined, signal: AbortSignal): () => void {
  let isRunning = false
  let hurry = (): void => {}

  async function tryOnce(): Promise<void> {
    const me = userId ?? (await findSession(core.api))?.userId
    if (me === undefined) throw new Error('the session is not in its own list')
    await core.start(me)
  }

  async function begin(): Promise<void> {
    for (let failures = 1; !signal.aborted; failures += 1) {
      try {
        return await tryOnce()
      } catch (error) {
        const problem = toProblem(error)
        if (signal.aborted) return
        if (problem.retry === 'after-reauth' || problem.retry === 'never') {
          const reason = problem.retry === 'never' ? 'refused' : 'session'
          // Who hears of the end may begin again at once.
          isRunning = false
          return core.runtime.dispatch({ type: 'end', reason, problem: problem.toDocument() })
        }
        const delayMs = backoffMs(retryBackoff, failures, fraction(core.random), problem.retryAfterMs)
        await new Promise<void>((resolve) => {
          hurry = resolve
          core.clock.setTimer(delayMs, resolve)
        })
      }
    }
  }

  return () => {
    hurry()
    if (isRunning || signal.aborted || core.runtime.getState().me !== null) return
    isRunning = true
    void begin()
  }
}

/** The app's own token: without a network the session ends by itself, when it is idle for long enough. */
async function endSession(api: Api): Promise<void> {
  const options = { timeoutMs: SIGN_OUT_MS }
  const session = await findSession(api, options).catch(() => undefined)
  if (session !== undefined) await api.endSession({ sessionId: session.sessionId }, options).catch(() => {})
}

async function findSession(
  api: Api,
  options: HttpOptions = {},
): Promise<{ readonly sessionId: string; readonly userId: UserId } | undefined> {
  for (let after: string | null = ''; after !== null;) {
    const page: Awaited<ReturnType<Api['listSessions']>> = await api.listSessions(
      after === '' ? {} : { after },
      options,
    )
    const current = page.items.find((session) => session.current)
    if (current !== undefined) return current
    after = page.next
  }
  return undefined
}

function whenReady(core: Core): Promise<void> {
  return new Promise((resolve, reject) => {
    const unsubscribe = core.onChange(({ after }) => {
      if (!after.synced && after.link.phase !== 'ended') return
      unsubscribe()
      if (after.synced) resolve()
      else if (after.link.problem !== null) reject(new SottoProblem(after.link.problem))
      else reject(new Error(`the connection has ended: ${after.link.ended ?? ''}`))
    })
  })
}

function defaultStorage(): Storage {
  return 'indexedDB' in globalThis ? indexedDbStorage() : memoryStorage()
}
