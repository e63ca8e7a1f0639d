import type { Api } from '../api/api.ts'
import { toProblem } from '../api/problem.ts'
import type { Effect, Input, OutboxItem } from '../sync/state.ts'
import { openSocket, type OpenSocket, type SocketConstructor } from './socket.ts'

export interface EffectsDeps {
  readonly api: Api
  readonly url: string
  readonly WebSocket: SocketConstructor
  dispatch(input: Input): void
  /** Effects that concern what is kept on the device, or who waits for a message. */
  onLocal(effect: Effect): void
}

/** Range requests that run at the same time: a sync may find many gaps at once. */
const RANGES_AT_A_TIME = 4

/** Does what the engine asks for, and tells it what came of it. Nothing here decides anything. */
export function createEffects(deps: EffectsDeps): (effect: Effect) => void {
  const { api, dispatch } = deps
  const limited = createLimiter(RANGES_AT_A_TIME)
  let current: { readonly attempt: number; socket?: OpenSocket } = { attempt: 0 }

  async function open(attempt: number, freshToken: boolean): Promise<void> {
    const opening: typeof current = { attempt }
    current.socket?.close()
    current = opening
    try {
      const { ticket } = await api.createSocketTicket({}, { freshToken })
      // Given up meanwhile: the ticket is left to expire.
      if (current !== opening) return
      opening.socket = openSocket({
        WebSocket: deps.WebSocket,
        url: deps.url,
        ticket,
        onFrame: (frame) => dispatch({ type: 'frame', attempt, frame }),
        onClosed: (code) => dispatch({ type: 'closed', attempt, code }),
      })
    } catch (error) {
      dispatch({ type: 'open-failed', attempt, problem: toProblem(error).toDocument() })
    }
  }

  function close(attempt: number): void {
    if (current.attempt !== attempt) return
    current.socket?.close()
    current = { attempt: 0 }
  }

  async function listEntries(effect: Extract<Effect, { type: 'list-entries' }>): Promise<void> {
    const { id, purpose, logNumber, afterSeq, beforeSeq, limit } = effect
    try {
      const range = await api.listEntries({
        conversationId: id,
        limit,
        ...(afterSeq === undefined ? {} : { afterSeq }),
        ...(beforeSeq === undefined ? {} : { beforeSeq }),
      })
      dispatch({ type: 'range', id, purpose, logNumber, range })
    } catch (error) {
      dispatch({ type: 'range-failed', id, purpose, logNumber, problem: toProblem(error).toDocument() })
    }
  }

  async function listCursors({ id, asked }: Extract<Effect, { type: 'list-cursors' }>): Promise<void> {
    try {
      const { items } = await api.listCursors({ conversationId: id })
      dispatch({ type: 'cursors', id, asked, items })
    } catch (error) {
      dispatch({ type: 'cursors-failed', id, problem: toProblem(error).toDocument() })
    }
  }

  async function sendByHttp(item: OutboxItem): Promise<void> {
    const { conversationId, entryId, payload, header, clientSentAt } = item
    try {
      const sent = await api.sendMessage({ conversationId, entryId, payload, header, clientSentAt })
      dispatch({ type: 'outbox-sent', entryId, sent })
    } catch (error) {
      dispatch({ type: 'outbox-refused', entryId, problem: toProblem(error).toDocument() })
    }
  }

  return (effect) => {
    switch (effect.type) {
      case 'open':
        return void open(effect.attempt, effect.freshToken)
      case 'close':
        return close(effect.attempt)
      case 'write':
        return current.attempt === effect.attempt ? current.socket?.write(effect.frame) : undefined
      case 'list-entries':
        return limited(() => listEntries(effect))
      case 'list-cursors':
        return limited(() => listCursors(effect))
      case 'send-http':
        return void sendByHttp(effect.item)
      default:
        return deps.onLocal(effect)
    }
  }
}

/** Runs so many tasks at a time; the others wait in order. */
function createLimiter(max: number): (task: () => Promise<void>) => void {
  const waiting: (() => Promise<void>)[] = []
  let running = 0
  async function run(): Promise<void> {
    running += 1
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) await task()
    running -= 1
  }
  return (task) => {
    waiting.push(task)
    if (running < max) void run()
  }
}
