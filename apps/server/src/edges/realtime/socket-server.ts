import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { SOCKET_PROTOCOL, type Limits } from '@sotto/protocol'
import { WebSocketServer, type WebSocket } from 'ws'
import { anonymous, type Ctx, type Origin } from '../../platform/context/context.ts'
import type { Ids } from '../../platform/ids/ids.ts'
import type { Log } from '../../platform/log/log.ts'
import { Problem } from '../../platform/problem/problem.ts'
import { toRfc3339, type Clock, type Instant } from '../../platform/time/clock.ts'
import { answerRaw } from '../gate/answer-raw.ts'
import type { Gate } from '../gate/gate.ts'
import { addressOf, admit, type AdmitDeps } from './admit.ts'
import { CLOSE_GRACE_MS, createConnection, send, type ConnectionDeps, type Connection } from './connection.ts'
import type { Delivering } from './delivering.ts'
import { createDropped } from './dropped.ts'
import type { Endings } from './endings.ts'
import { createHeartbeat } from './heartbeat.ts'
import { closeCodeOf, refusalOf } from './protocol-errors.ts'
import type { Registry } from './registry.ts'

export interface SocketClosing {
  readonly connectionId: string
  readonly code: number
  readonly typing: readonly string[]
  /** When it closed: the record may come later. */
  readonly closedAt: Instant
}

export interface SocketServerDeps extends ConnectionDeps, AdmitDeps {
  readonly gate: Gate
  readonly limits: Limits
  readonly ids: Ids
  readonly clock: Clock
  readonly log: Log
  readonly registry: Registry
  readonly delivering: Delivering
  readonly endings: Endings
  readonly trustProxy: boolean
  /** Records the opening before the socket exists, and its closing with what it counted. */
  recordOpen(ctx: Ctx, connectionId: string): Promise<void>
  recordClose(ctx: Ctx, closing: SocketClosing): Promise<void>
  onOpen(connection: Connection): void
  onClose(connection: Connection): void
}

export interface SocketServer {
  /** Tells every client to reconnect elsewhere, and resolves when their sockets are closed and recorded. */
  drain(): Promise<void>
}

const RECONNECT_SPREAD_MS = 3_000
const DRAIN_MS_MAX = 5_000
/** A connection that was destroyed is gone in the next turns of the event loop. */
const DESTROY_MS_MAX = 1_000
/** RFC 6455 §7.1.5: there was no closing handshake. */
const NO_HANDSHAKE = 1006
/** Requests that wait for their ticket; more are turned away before any work is done for them. */
export const UPGRADES_MAX = 1_000

/** What `@types/ws` does not know: the time that a peer has which closes by itself. */
const undeclared = { closeTimeout: CLOSE_GRACE_MS }

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
    ...undeclared,
    handleProtocols: () => SOCKET_PROTOCOL,
  })
  const heartbeat = createHeartbeat({ everyMs: deps.limits.heartbeatMs })
  const dropped = createDropped(deps.log)
  /** Every connection that asked for an upgrade, refused ones too: the HTTP server no longer knows of them. */
  const transports = new Set<Duplex>()
  /** Refusals that are being recorded. */
  const refusing = new Set<Promise<unknown>>()
  const accepting = new Set<Promise<void>>()

  server.on('upgrade', (request: IncomingMessage, transport: Duplex, head: Buffer) => {
    transport.on('error', () => transport.destroy())
    if (accepting.size >= UPGRADES_MAX) {
      dropped.count()
      return void transport.destroy()
    }
    transports.add(transport)
    transport.on('close', () => transports.delete(transport))
    const accepted = accept(request, transport, head)
    accepting.add(accepted)
    void accepted.then(() => accepting.delete(accepted))
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
      answerRaw(transport, refusal, origin.requestId)
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
    if (!isOpen) recordClose(ctx, { connectionId, code: NO_HANDSHAKE, typing: [], closedAt: deps.clock.now() })
  }

  function recordClose(ctx: Ctx, closing: SocketClosing): void {
    deps.endings.record(() => deps.recordClose(ctx, closing))
  }

  function open(webSocket: WebSocket, transport: Duplex, ctx: Ctx, connectionId: string): void {
    const connection = createConnection(deps, webSocket, transport, { ctx, id: connectionId, onClosing: leave })
    makeRoom(deps, connection)
    deps.registry.add(connection)
    heartbeat.add(webSocket, () => connection.drop(4408))
    webSocket.on('error', (error) => refuse(connection, webSocket, error))
    webSocket.on('close', (peerCode) => {
      leave()
      const code = connection.closedWith ?? peerCode
      const typing = [...connection.typingSignals].map(([conversationId, count]) => `${conversationId}:${count}`)
      recordClose(ctx, { connectionId, code, typing, closedAt: deps.clock.now() })
      deps.log.info('socket.closed', { requestId: connection.id, closeCode: code })
    })
    deps.onOpen(connection)
    sayHello(deps, connection)
    deps.log.info('socket.opened', { requestId: connection.id })
    // It was on its way in when the others were told to go.
    if (deps.isDraining()) connection.close(1001)

    function leave(): void {
      heartbeat.remove(webSocket)
      deps.registry.remove(connection)
      deps.delivering.end(connection)
      deps.onClose(connection)
    }
  }

  /** What the peer sent is against the protocol, and `ws` closes the socket; or the line is broken. */
  function refuse(connection: Connection, webSocket: WebSocket, error: Error): void {
    const code = closeCodeOf(error)
    if (code === undefined) return webSocket.terminate()
    connection.fail(code)
    const ctx = { ...connection.ctx, requestId: deps.ids.next<string>() }
    const act = { action: 'request.refuse' as const, activity: false, operation: 'unknown' }
    const refused = deps.gate.refuse(ctx, act, refusalOf(code))
    refusing.add(refused)
    void refused.then(() => refusing.delete(refused))
  }

  async function untilGone(timeoutMs: number): Promise<void> {
    const deadline = deps.clock.monotonicMs() + timeoutMs
    while ((transports.size > 0 || accepting.size > 0) && deps.clock.monotonicMs() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20))
  }

  return {
    async drain() {
      heartbeat.stop()
      for (const connection of deps.registry.all()) connection.close(1001)
      await untilGone(DRAIN_MS_MAX)
      for (const transport of transports) transport.destroy()
      await untilGone(DESTROY_MS_MAX)
      dropped.flush()
      await Promise.all(refusing)
      await deps.delivering.idle()
      await deps.endings.idle()
      await deps.endings.retry()
    },
  }
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
