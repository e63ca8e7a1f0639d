import type { Duplex } from 'node:stream'
import {
  socketCommands,
  type CloseCode,
  type CommandOp,
  type ConversationId,
  type Frame,
  type Limits,
  type UserId,
} from '@sotto/protocol'
import type { RawData, WebSocket } from 'ws'
import type { Ctx } from '../../platform/context/context.ts'
import type { Ids } from '../../platform/ids/ids.ts'
import type { TokenBuckets } from '../../platform/limits/token-bucket.ts'
import { problem, renderProblem, type Problem } from '../../platform/problem/problem.ts'
import type { Clock } from '../../platform/time/clock.ts'
import type { Gate } from '../gate/gate.ts'
import { parseInput } from '../gate/parse-input.ts'
import { parseJson } from '../gate/parse-json.ts'
import { createOutgoing, encodeFrame, type EncodedFrame, type Outgoing } from './outgoing.ts'

/**
 * One socket of one device.
 *
 * | state | what it does | left by |
 * |---|---|---|
 * | open | answers commands, receives presence and session frames | `conversation.sync` → live; close |
 * | live | also receives entries, cursors and typing of its conversations | close |
 * | closed | nothing | — |
 */
export interface Connection {
  readonly id: string
  readonly ctx: Ctx
  readonly outgoing: Outgoing
  readonly isLive: boolean
  /** Presence of these users is told to this socket. */
  watched: ReadonlySet<UserId>
  readonly deliveries: Map<ConversationId, DeliveryState>
  /** How many typing signals it sent, by conversation: kept for the record of its closing. */
  readonly typingSignals: Map<ConversationId, number>
  /** Why the server closed it; undefined while it is open, and when the peer did. */
  readonly closedWith: CloseCode | undefined
  goLive(): void
  close(code: CloseCode): void
  /** Closes without waiting for a peer that is not there. */
  drop(code: CloseCode): void
  /** `ws` has begun to close it with this code, because of what the peer sent. */
  fail(code: CloseCode): void
}

/** Live delivery of one conversation to this socket: frames wait until the subscription is durable. */
export type DeliveryState =
  | { readonly kind: 'opening'; readonly waiting: { readonly seq: number; readonly frame: EncodedFrame }[] }
  | { readonly kind: 'open'; readonly deliveryId: string; lastSeq: number }

export type CommandHandlers = {
  readonly [Op in CommandOp]: (connection: Connection, ctx: Ctx, input: never) => Promise<unknown>
}

export interface ConnectionDeps {
  readonly gate: Gate
  readonly limits: Limits
  readonly ids: Ids
  readonly clock: Clock
  readonly commands: CommandHandlers
  /** Of a user, whichever of the sockets the commands come from. */
  readonly commandRates: TokenBuckets
}

/** Broken frames that a client may send before it is taken for one that will not stop. */
const MALFORMED_MAX = 10
/** A client that has not had to wait for this long is within its rate again. */
const CALM_MS = 1_000
/** For so long a peer may take to answer the closing handshake, and to end its side of the connection. */
export const CLOSE_GRACE_MS = 3_000

export interface ConnectionOptions {
  readonly ctx: Ctx
  /** Under which its opening was recorded, and its closing will be. */
  readonly id: string
  /** The server closes it: from now on it is told nothing and counts as nobody's, however long its peer takes. */
  onClosing(): void
}

export function createConnection(
  deps: ConnectionDeps,
  webSocket: WebSocket,
  transport: Duplex,
  { ctx, id, onClosing }: ConnectionOptions,
): Connection {
  let isLive = false
  let closedWith: CloseCode | undefined
  const outgoing = createOutgoing(webSocket, transport, {
    queueBytesMax: deps.limits.socketQueueBytesMax,
    onSlow: () => close(4430),
  })

  function close(code: CloseCode): void {
    if (webSocket.readyState >= webSocket.CLOSING) return
    webSocket.close(code)
    leave(code)
  }

  function leave(code: CloseCode): void {
    closedWith ??= code
    // A peer that does not answer the closing handshake, or cannot read, does not hold the socket open.
    setTimeout(() => webSocket.terminate(), CLOSE_GRACE_MS).unref()
    onClosing()
  }

  const connection: Connection = {
    id,
    ctx,
    outgoing,
    watched: new Set(),
    deliveries: new Map(),
    typingSignals: new Map(),
    get isLive() {
      return isLive
    },
    get closedWith() {
      return closedWith
    },
    goLive() {
      isLive = true
    },
    close,
    drop(code) {
      close(code)
      webSocket.terminate()
    },
    fail: leave,
  }
  readCommands(deps, connection, webSocket)
  return connection
}

/**
 * Starts commands in the order in which they came, as fast as the rate allows; while some wait, nothing is read from the
 * socket, so that the peer's own writes are held up. What was read in one piece before it was paused waits here.
 */
function readCommands(deps: ConnectionDeps, connection: Connection, webSocket: WebSocket): void {
  const { limits } = deps
  const rateKey = `${connection.ctx.tenantId}/${connection.ctx.userId}`
  const flood = createFloodWatch(deps.clock, limits.socketFloodMs)
  const waiting: (string | undefined)[] = []
  /** Ids of commands that wait for their answers. */
  const answering = new Set<number>()
  let unanswered = 0
  let malformed = 0
  let timer: NodeJS.Timeout | undefined

  function start(text: string | undefined): void {
    unanswered++
    void answer(deps, connection, answering, text).then((refusal) => {
      unanswered--
      if (refusal?.code === 'platform/malformed' && ++malformed >= MALFORMED_MAX) connection.close(4400)
      work()
    })
  }

  function work(): void {
    while (waiting.length > 0 && unanswered < limits.socketUnansweredMax && timer === undefined) {
      if (webSocket.readyState !== webSocket.OPEN) return void waiting.splice(0)
      const waitMs = deps.commandRates.take(rateKey)
      if (waitMs === 0) start(waiting.shift())
      else if (flood.isOver()) connection.close(4429)
      else timer = setTimeout(goOn, waitMs).unref()
    }
    if (waiting.length > 0 || unanswered >= limits.socketUnansweredMax) webSocket.pause()
    else if (webSocket.isPaused) webSocket.resume()
  }

  function goOn(): void {
    timer = undefined
    work()
  }

  webSocket.on('message', (data: RawData, isBinary: boolean) => {
    waiting.push(isBinary ? undefined : (data as Buffer).toString('utf8'))
    work()
  })
}

/** A client that is over its rate again and again, without a calm second, does not heed backpressure. */
function createFloodWatch(clock: Clock, msMax: number): { isOver(): boolean } {
  let sinceMs = 0
  let lastMs = -Infinity
  return {
    isOver() {
      const nowMs = clock.monotonicMs()
      if (nowMs - lastMs > CALM_MS) sinceMs = nowMs
      lastMs = nowMs
      return nowMs - sinceMs > msMax
    },
  }
}

interface Envelope {
  readonly op: unknown
  readonly id: unknown
}

/**
 * @param text  undefined: a binary frame
 * @returns the problem, when it was refused
 */
async function answer(
  deps: ConnectionDeps,
  connection: Connection,
  answering: Set<number>,
  text: string | undefined,
): Promise<Problem | undefined> {
  const ctx: Ctx = { ...connection.ctx, requestId: deps.ids.next() }
  let id: number | null = null
  let op: string = 'unknown'
  try {
    const { envelope, body } = readEnvelope(text, deps.limits.jsonDepthMax)
    if (typeof envelope.op === 'string') op = envelope.op
    id = checkCommandId(envelope.id, answering)
    answering.add(id)
    if (!Object.hasOwn(socketCommands, op)) throw problem('socket/unknown-command')
    const result = await run(deps, connection, ctx, op as CommandOp, body)
    send(connection, { op: 'reply', id, result })
    return undefined
  } catch (error) {
    const refusal = await deps.gate.refuse(ctx, actOf(op, {}), error)
    send(connection, { op: 'error', id, problem: renderProblem(refusal, ctx.requestId) })
    return refusal
  } finally {
    if (id !== null) answering.delete(id)
  }
}

function readEnvelope(
  text: string | undefined,
  depthMax: number,
): { readonly envelope: Envelope; readonly body: unknown } {
  if (text === undefined) throw problem('platform/malformed', { trueReason: 'binary-frame' })
  const value = parseJson(text, depthMax)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw problem('platform/malformed', { trueReason: 'not-an-object' })
  const { op, id, ...body } = value as Record<string, unknown>
  return { envelope: { op, id }, body }
}

/** An id that waits for its answer is not taken twice: nobody could tell the answers apart. */
function checkCommandId(id: unknown, answering: ReadonlySet<number>): number {
  const refuse = (message: string) => problem('platform/invalid-input', { errors: [{ pointer: '/id', message }] })
  if (!Number.isSafeInteger(id) || (id as number) < 0) throw refuse('a safe integer, 0 or more')
  if (answering.has(id as number)) throw refuse('waits for its answer already')
  return id as number
}

async function run(
  deps: ConnectionDeps,
  connection: Connection,
  ctx: Ctx,
  op: CommandOp,
  body: unknown,
): Promise<unknown> {
  const act = actOf(op, body)
  const handler = deps.commands[op] as (connection: Connection, ctx: Ctx, input: unknown) => Promise<unknown>
  return deps.gate.run(ctx, act, async () => handler(connection, ctx, parseInput(socketCommands[op].body, body)))
}

function actOf(op: string, body: unknown) {
  const command = Object.hasOwn(socketCommands, op) ? socketCommands[op as CommandOp] : undefined
  const conversationId = (body as { readonly conversationId?: unknown }).conversationId
  const isId = typeof conversationId === 'string' && /^[0-9a-f-]{36}$/.test(conversationId)
  return {
    action: command?.audit ?? ('request.refuse' as const),
    activity: command?.activity ?? false,
    operation: command?.op ?? 'unknown',
    resource: isId ? { type: 'conversation', id: conversationId } : undefined,
  }
}

export function send(connection: Connection, frame: Frame): void {
  connection.outgoing.send(encodeFrame(JSON.stringify(frame)))
}
