import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { ConversationId, ProblemDocument, UserId } from '@sotto/protocol'
import { WebSocketServer, type WebSocket } from 'ws'
import { operationTable } from '../src/contract.generated.ts'
import { device } from './people.testing.ts'
import { createPeer, epoch, problem, type Answer, type Peer } from './peer.testing.ts'

/** The peer behind a real port: HTTP and WebSocket as the contract has them, and faults on demand. */
export interface PeerServer extends AsyncDisposable {
  readonly url: string
  readonly peer: Peer
  /** A token of this user: the text is the user's id, so that a test can read what was sent. */
  tokenOf(userId: UserId): string
  /** The next answers to this operation or command are these problems; with `happened`, after it took effect. */
  refuseNext(
    name: string,
    problem: ProblemDocument,
    options?: { readonly happened?: boolean; readonly times?: number },
  ): void
  /** The next requests or commands of this name get no answer at all; what they ask for happens. */
  swallowNext(name: string, times?: number): void
  /** Closes every socket with this code. */
  closeSockets(code: number): void
  /** Sends a frame on every socket. */
  emit(frame: object): void
  /** Whether sockets can be opened. */
  socketsAllowed: boolean
  /** Tokens that are refused from now on. */
  readonly refusedTokens: Set<string>
  /** Every request and command by name, in order. */
  readonly seen: string[]
  /** Frames that were received from clients. */
  readonly frames: Record<string, unknown>[]
}

interface Fault {
  readonly name: string
  readonly problem: ProblemDocument | null
  readonly happened: boolean
}

export async function startPeerServer(peer: Peer = createPeer()): Promise<PeerServer> {
  const tickets = new Map<string, UserId>()
  const sessions = new Map<string, UserId>()
  const faults: Fault[] = []
  const connections = new Set<Socket>()
  const seen: string[] = []
  const frames: Record<string, unknown>[] = []
  let ticketCount = 0

  function answerWithFaults(name: string, run: () => Answer): Answer | null {
    seen.push(name)
    const index = faults.findIndex((fault) => fault.name === name)
    const fault = index === -1 ? undefined : faults.splice(index, 1)[0]
    if (fault === undefined) return run()
    if (fault.happened) run()
    return fault.problem === null ? null : { problem: fault.problem }
  }

  const http = createServer((request, response) => void handle(request, response))
  http.on('connection', (socket) => {
    connections.add(socket)
    socket.on('close', () => connections.delete(socket))
  })

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://peer')
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
    const found = route(request.method ?? '', url.pathname)
    if (found === undefined) return reply(response, 404, problem('platform/not-found', 404))
    const token = (request.headers.authorization ?? '').replace('Bearer ', '')
    const userId = token.split('#')[0] as UserId
    if (found.signedIn && (userId === ('' as UserId) || server.refusedTokens.has(token))) {
      return reply(response, 401, problem('identity/token-expired', 401))
    }
    const input = { ...found.params, ...Object.fromEntries(url.searchParams), ...body }
    const answer = answerWithFaults(found.id, () => operate(found.id, userId, input))
    if (answer === null) return void request.socket.destroy()
    if ('problem' in answer) return reply(response, answer.problem.status, answer.problem)
    reply(response, answer.result === undefined ? 204 : 200, answer.result)
  }

  function operate(id: string, userId: UserId, input: Record<string, unknown>): Answer {
    const conversationId = input['conversationId'] as ConversationId
    const number = (name: string): number | undefined => (input[name] === undefined ? undefined : Number(input[name]))
    switch (id) {
      case 'createSocketTicket': {
        const ticket = `ticket-${++ticketCount}`
        tickets.set(ticket, userId)
        return { result: { ticket, expiresAt: epoch } }
      }
      case 'listEntries': {
        const range = { afterSeq: number('afterSeq'), beforeSeq: number('beforeSeq'), limit: number('limit') ?? 50 }
        return peer.listEntries(userId, conversationId, range)
      }
      case 'listCursors':
        return peer.listCursors(userId, conversationId)
      case 'listMembers':
        return peer.listMembers(userId, conversationId)
      case 'sendMessage':
        return peer.send(userId, device(9), conversationId, input as never)
      case 'syncConversations':
        return peer.sync(userId, input['token'] as string | undefined, number('limit') ?? 200)
      case 'createConversation':
        peer.createConversation(conversationId, [userId, ...(input['memberIds'] as UserId[])])
        return peer.conversation(userId, conversationId)
      case 'listSessions':
        return { result: { items: [{ sessionId: device(8), userId, current: true }], next: null } }
      case 'endSession':
        return { result: undefined }
      case 'createSession':
        return { result: signedIn(input['login'] as UserId, input['refreshTokenIn'] as string) }
      case 'refreshSession': {
        const known = sessions.get(input['refreshToken'] as string)
        if (known === undefined) return { problem: problem('identity/refresh-invalid', 401) }
        sessions.delete(input['refreshToken'] as string)
        return { result: signedIn(known, 'body') }
      }
      default:
        return { problem: problem('platform/not-found', 404) }
    }
  }

  function signedIn(userId: UserId, refreshTokenIn: string): object {
    ticketCount += 1
    const refreshToken = `refresh-${ticketCount}`
    sessions.set(refreshToken, userId)
    return {
      accessToken: `${userId}#${ticketCount}`,
      accessTokenExpiresAt: new Date(Date.now() + 300_000).toISOString(),
      refreshToken: refreshTokenIn === 'cookie' ? null : refreshToken,
      deviceSecret: null,
      session: { sessionId: device(8), userId, deviceId: device(9) },
      user: { userId, displayName: 'Somebody', role: 'clinician', active: true, teams: [] },
    }
  }

  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'sotto.v1' })
  http.on('upgrade', (request, socket, head) => {
    const offered = String(request.headers['sec-websocket-protocol']).split(', ')
    const ticket = offered[1]?.replace('sotto.ticket.', '') ?? ''
    const userId = tickets.get(ticket)
    tickets.delete(ticket)
    if (userId === undefined || !server.socketsAllowed) return void socket.destroy()
    sockets.handleUpgrade(request, socket, head, (webSocket) => serve(webSocket, userId))
  })

  function serve(socket: WebSocket, userId: UserId): void {
    const send = (frame: object): void => socket.send(JSON.stringify(frame))
    const attached = peer.attach(userId, device(9), send)
    socket.on('close', () => peer.detach(attached))
    socket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as { op: string; id: number }
      frames.push({ ...frame })
      const { op, id, ...body } = frame
      const answer = answerWithFaults(op, () => peer.command(attached, op, body))
      if (answer === null) return
      send(
        'problem' in answer ? { op: 'error', id, problem: answer.problem } : { op: 'reply', id, result: answer.result },
      )
    })
    send({
      op: 'hello',
      sessionId: device(8),
      userId,
      deviceId: device(9),
      at: epoch,
      heartbeatMs: 20_000,
      reconnectSpreadMs: 0,
    })
  }

  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const server: PeerServer = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    peer,
    tokenOf: (userId) => userId,
    refuseNext(name, refusal, { happened = false, times = 1 } = {}) {
      for (let time = 0; time < times; time += 1) faults.push({ name, problem: refusal, happened })
    },
    swallowNext(name, times = 1) {
      for (let time = 0; time < times; time += 1) faults.push({ name, problem: null, happened: true })
    },
    closeSockets(code) {
      for (const socket of sockets.clients) socket.close(code)
    },
    emit(frame) {
      for (const socket of sockets.clients) socket.send(JSON.stringify(frame))
    },
    socketsAllowed: true,
    refusedTokens: new Set(),
    seen,
    frames,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets.clients) socket.terminate()
      for (const socket of connections) socket.destroy()
      await new Promise((resolve) => http.close(resolve))
    },
  }
  return server
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  const type = status >= 400 ? 'application/problem+json' : 'application/json'
  response.writeHead(status, { 'content-type': type })
  response.end(body === undefined ? undefined : JSON.stringify(body))
}

function route(method: string, pathname: string) {
  const parts = pathname.split('/')
  for (const [id, [verb, path, signedIn]] of Object.entries(operationTable)) {
    const names = path.split('/')
    if (verb !== method || names.length !== parts.length) continue
    if (!names.every((name, index) => name.startsWith(':') || name === parts[index])) continue
    const params = names.flatMap((name, index) => (name.startsWith(':') ? [[name.slice(1), parts[index]]] : []))
    return { id, signedIn, params: Object.fromEntries(params) as Record<string, string> }
  }
  return undefined
}
