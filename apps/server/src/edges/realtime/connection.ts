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
import { createTokenBuckets } from '../../platform/limits/token-bucket.ts'
import { problem, renderProblem, type Problem } from '../../platform/problem/problem.ts'
import type { Clock } from '../../platform/time/clock.ts'
import type { Gate } from '../gate/gate.ts'
import { parseInput } from '../gate/parse-input.ts'
import { parseJson } from '../gate/parse-json.ts'
import { createOutgoing, type Outgoing } from './outgoing.ts'

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
  goLive(): void
  close(code: CloseCode): void
}

/** Live delivery of one conversation to this socket: frames wait until the subscription is durable. */
export type DeliveryState =
  | { readonly kind: 'opening'; readonly waiting: { readonly seq: number; readonly frame: string }[] }
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
}

/** Broken frames that a client may send before it is taken for one that will not stop. */
const MALFORMED_MAX = 10
/** A client that is over its rate for this long does not heed backpressure. */
const FLOOD_MS_MAX = 15_000
const CLOSE_GRACE_MS = 3_000

export function createConnection(deps: ConnectionDeps, webSocket: WebSocket, transport: Duplex, ctx: Ctx): Connection {
  let isLive = false
  const outgoing = createOutgoing(webSocket, transport, {
    queueBytesMax: deps.limits.socketQueueBytesMax,
    onSlow: () => close(4430),
  })

  function close(code: CloseCode): void {
    if (webSocket.readyState >= webSocket.CLOSING) return
    webSocket.close(code)
    // A peer that does not answer the closing handshake, or cannot read, does not hold the socket open.
    setTimeout(() => webSocket.terminate(), CLOSE_GRACE_MS).unref()
  }

  const connection: Connection = {
    id: deps.ids.next(),
    ctx,
    outgoing,
    watched: new Set(),
    deliveries: new Map(),
    typingSignals: new Map(),
    get isLive() {
      return isLive
    },
    goLive() {
      isLive = true
    },
    close,
  }
  readCommands(deps, connection, webSocket)
  return connection
}

/** Reads one command after another; pauses the socket while too many wait or the rate is passed. */
function readCommands(deps: ConnectionDeps, connection: Connection, webSocket: WebSocket): void {
  const { limits } = deps
  const bucket = createTokenBuckets(deps.clock, {
    perSecond: limits.socketCommandsPerSecond,
    burst: limits.socketCommandsBurst,
  })
  let unanswered = 0
  let malformed = 0
  let floodingSinceMs: number | undefined

  function resume(): void {
    if (webSocket.readyState === webSocket.OPEN && unanswered < limits.socketUnansweredMax) webSocket.resume()
  }

  function slowDown(): void {
    const waitMs = bucket.take(connection.id)
    const nowMs = deps.clock.monotonicMs()
    if (waitMs === 0) {
      floodingSinceMs = undefined
      return
    }
    floodingSinceMs ??= nowMs
    if (nowMs - floodingSinceMs > FLOOD_MS_MAX) return connection.close(4429)
    webSocket.pause()
    setTimeout(resume, waitMs).unref()
  }

  webSocket.on('message', (data: RawData, isBinary: boolean) => {
    slowDown()
    unanswered++
    if (unanswered >= limits.socketUnansweredMax) webSocket.pause()
    void answer(deps, connection, isBinary ? undefined : data.toString()).then((refusal) => {
      unanswered--
      if (refusal?.code === 'platform/malformed' && ++malformed >= MALFORMED_MAX) connection.close(4400)
      resume()
    })
  })
}

interface Envelope {
  readonly op: unknown
  readonly id: unknown
}

/** @returns the problem, when it was refused */
async function answer(
  deps: ConnectionDeps,
  connection: Connection,
  text: string | undefined,
): Promise<Problem | undefined> {
  const ctx: Ctx = { ...connection.ctx, requestId: deps.ids.next() }
  let id: number | null = null
  let op: string = 'unknown'
  try {
    const { envelope, body } = readEnvelope(text, deps.limits.jsonDepthMax)
    id = isCommandId(envelope.id) ? envelope.id : null
    if (id === null)
      throw problem('platform/invalid-input', { errors: [{ pointer: '/id', message: 'a safe integer' }] })
    op = String(envelope.op)
    if (!Object.hasOwn(socketCommands, op)) throw problem('socket/unknown-command')
    const result = await run(deps, connection, ctx, op as CommandOp, body)
    send(connection, { op: 'reply', id, result })
    return undefined
  } catch (error) {
    const refusal = await deps.gate.refuse(ctx, actOf(op, {}), error)
    send(connection, { op: 'error', id, problem: renderProblem(refusal, ctx.requestId) })
    return refusal
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

function isCommandId(id: unknown): id is number {
  return Number.isSafeInteger(id) && (id as number) >= 0
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
  connection.outgoing.send(JSON.stringify(frame))
}
