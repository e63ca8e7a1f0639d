import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { SOCKET_PATH, SOCKET_PROTOCOL, SOCKET_TICKET_PREFIX, type Limits } from '@sotto/protocol'
import { WebSocketServer, type WebSocket } from 'ws'
import { anonymous, type Ctx, type Origin } from '../../platform/context/context.ts'
import type { Ids } from '../../platform/ids/ids.ts'
import type { Log } from '../../platform/log/log.ts'
import { Problem, problem, renderProblem } from '../../platform/problem/problem.ts'
import { toRfc3339, type Clock } from '../../platform/time/clock.ts'
import type { Gate } from '../gate/gate.ts'
import { isOriginAllowed } from '../gate/origins.ts'
import { securityHeaders } from '../gate/security-headers.ts'
import { createConnection, send, type ConnectionDeps, type Connection } from './connection.ts'
import type { Delivering } from './delivering.ts'
import { createHeartbeat } from './heartbeat.ts'
import type { Registry } from './registry.ts'

export interface SocketServerDeps extends ConnectionDeps {
  readonly gate: Gate
  readonly limits: Limits
  readonly ids: Ids
  readonly clock: Clock
  readonly log: Log
  readonly registry: Registry
  readonly delivering: Delivering
  readonly allowedOrigins: readonly string[]
  readonly trustProxy: boolean
  /** @throws identity/ticket-invalid */
  redeemSocketTicket(ticket: string, origin: Origin): Promise<Ctx>
  /** Records the opening before the socket exists, and its closing with what it counted. */
  recordOpen(ctx: Ctx, connectionId: string): Promise<void>
  recordClose(
    ctx: Ctx,
    closing: { readonly connectionId: string; readonly code: number; readonly typing: readonly string[] },
  ): Promise<void>
  onOpen(connection: Connection): void
  onClose(connection: Connection): void
  isDraining(): boolean
}

export interface SocketServer {
  /** Tells every client to reconnect elsewhere, and resolves when their sockets are closed and recorded. */
  drain(): Promise<void>
}

const RECONNECT_SPREAD_MS = 3_000
const DRAIN_MS_MAX = 5_000
/** RFC 6455 §7.1.5: there was no closing handshake. */
const NO_HANDSHAKE = 1006
/** Requests that wait for their ticket; more are turned away before any work is done for them. */
const UPGRADES_MAX = 1_000

/**
 * The realtime edge: authenticates an upgrade by its single-use ticket, which travels as a second subprotocol so that no
 * URL carries it (OWASP ASVS 4.4.3), and gives each socket its connection.
 */
export function attachSocketServer(server: Server, deps: SocketServerDeps): SocketServer {
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: deps.limits.frameBytesMax,
    handleProtocols: () => SOCKET_PROTOCOL,
  })
  const heartbeat = createHeartbeat({ everyMs: deps.limits.heartbeatMs })
  const closings = new Set<Promise<void>>()
  let upgrades = 0

  server.on('upgrade', (request: IncomingMessage, transport: Duplex, head: Buffer) => {
    transport.on('error', () => transport.destroy())
    if (upgrades >= UPGRADES_MAX) return void transport.destroy()
    upgrades++
    void accept(request, transport, head).finally(() => upgrades--)
  })

  async function accept(request: IncomingMessage, transport: Duplex, head: Buffer): Promise<void> {
    const origin: Origin = { requestId: deps.ids.next(), address: addressOf(request, deps.trustProxy) }
    try {
      const ctx = await admit(deps, request, origin)
      await upgrade(request, transport, head, ctx)
    } catch (error) {
      const act = { action: 'socket.open' as const, activity: false, operation: 'socket.open' }
      const refusal =
        error instanceof Problem && error.recorded ? error : await deps.gate.refuse(anonymous(origin), act, error)
      answerUpgrade(transport, refusal, origin.requestId)
    }
  }

  /** The opening is recorded first; when the peer has gone meanwhile, or shakes hands wrongly, so is its end. */
  async function upgrade(request: IncomingMessage, transport: Duplex, head: Buffer, ctx: Ctx): Promise<void> {
    const connectionId = deps.ids.next<string>()
    await deps.recordOpen(ctx, connectionId)
    let isOpen = false
    webSockets.handleUpgrade(request, transport, head, (webSocket) => {
      isOpen = true
      open(webSocket, transport, ctx, connectionId)
    })
    if (!isOpen) recordClose(ctx, { connectionId, code: NO_HANDSHAKE, typing: [] })
  }

  function recordClose(ctx: Ctx, closing: Parameters<typeof deps.recordClose>[1]): void {
    const recorded = deps
      .recordClose(ctx, closing)
      .catch((error: unknown) => deps.log.warn('socket.failed', { requestId: closing.connectionId }, error))
    closings.add(recorded)
    void recorded.then(() => closings.delete(recorded))
  }

  function open(webSocket: WebSocket, transport: Duplex, ctx: Ctx, connectionId: string): void {
    const connection = createConnection(deps, webSocket, transport, ctx, connectionId)
    makeRoom(deps, connection)
    deps.registry.add(connection)
    heartbeat.add(webSocket, () => connection.drop(4408))
    webSocket.on('error', () => webSocket.terminate())
    webSocket.on('close', (peerCode) => {
      const code = connection.closedWith ?? peerCode
      heartbeat.remove(webSocket)
      deps.registry.remove(connection)
      deps.delivering.end(connection)
      deps.onClose(connection)
      const typing = [...connection.typingSignals].map(([conversationId, count]) => `${conversationId}:${count}`)
      recordClose(ctx, { connectionId, code, typing })
      deps.log.info('socket.closed', { requestId: connection.id, closeCode: code })
    })
    deps.onOpen(connection)
    sayHello(deps, connection)
    deps.log.info('socket.opened', { requestId: connection.id })
  }

  return {
    async drain() {
      heartbeat.stop()
      for (const connection of deps.registry.all()) connection.close(1001)
      const deadline = deps.clock.monotonicMs() + DRAIN_MS_MAX
      while (deps.registry.size > 0 && deps.clock.monotonicMs() < deadline)
        await new Promise((resolve) => setTimeout(resolve, 20))
      await Promise.all(closings)
      await deps.delivering.idle()
    },
  }
}

async function admit(deps: SocketServerDeps, request: IncomingMessage, origin: Origin): Promise<Ctx> {
  if (deps.isDraining()) throw problem('platform/draining')
  if (request.url?.split('?', 1)[0] !== SOCKET_PATH) throw problem('platform/not-found')
  if (!isOriginAllowed(request.headers.origin, request.headers.host, deps.allowedOrigins))
    throw problem('platform/origin-refused')
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((one) => one.trim())
  const ticket = offered.find((one) => one.startsWith(SOCKET_TICKET_PREFIX))?.slice(SOCKET_TICKET_PREFIX.length)
  if (!offered.includes(SOCKET_PROTOCOL) || ticket === undefined)
    throw problem('identity/ticket-invalid', { trueReason: 'no-ticket' })
  return deps.redeemSocketTicket(ticket, origin)
}

/** Before the upgrade a refusal is HTTP: browsers show only that it failed, other clients read the problem. */
function answerUpgrade(transport: Duplex, refusal: Problem, requestId: string): void {
  const body = JSON.stringify(renderProblem(refusal, requestId))
  const headers = {
    connection: 'close',
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    ...securityHeaders,
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  transport.end(`HTTP/1.1 ${refusal.spec.status} Refused\r\n${lines.join('')}\r\n${body}`)
}

function addressOf(request: IncomingMessage, trustProxy: boolean): string | null {
  const forwarded = trustProxy
    ? String(request.headers['x-forwarded-for'] ?? '')
        .split(',')
        .at(-1)
        ?.trim()
    : undefined
  return forwarded || (request.socket.remoteAddress ?? null)
}

/** A user with too many sockets loses the oldest, never the newest: the one in hand works. */
function makeRoom(deps: SocketServerDeps, { ctx }: Connection): void {
  const open = [...deps.registry.ofUser(ctx.tenantId, ctx.userId)]
  for (const oldest of open.slice(0, Math.max(0, open.length + 1 - deps.limits.socketsPerUserMax))) oldest.close(4409)
}

function sayHello(deps: SocketServerDeps, connection: Connection): void {
  const { sessionId, userId, deviceId } = connection.ctx
  send(connection, {
    op: 'hello',
    sessionId,
    userId,
    deviceId,
    at: toRfc3339(deps.clock.now()),
    heartbeatMs: deps.limits.heartbeatMs,
    reconnectSpreadMs: RECONNECT_SPREAD_MS,
  })
}
