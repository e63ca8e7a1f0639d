/** A bare client of the socket, without the SDK: it sends what it is told and keeps what it receives. */

import {
  SOCKET_PATH,
  SOCKET_PROTOCOL,
  SOCKET_TICKET_PREFIX,
  type CommandOp,
  type CommandReply,
  type CommandRequest,
  type Frame,
  type FrameOf,
  type ProblemDocument,
} from '@sotto/protocol'
import { WebSocket } from 'ws'

export interface TestSocket {
  readonly webSocket: WebSocket
  /** Everything received, oldest first. */
  readonly frames: readonly Frame[]
  /** @throws CommandRefused */
  command<Op extends CommandOp>(op: Op, body: CommandRequest<Op>): Promise<CommandReply<Op>>
  /** Resolves with the first frame, received already or not, that fits. */
  next<Op extends Frame['op']>(op: Op, fits?: (frame: FrameOf<Op>) => boolean): Promise<FrameOf<Op>>
  /** Resolves with the close code. */
  readonly closed: Promise<number>
  close(): void
}

export class CommandRefused extends Error {
  override readonly name = 'CommandRefused'
  readonly problem: ProblemDocument
  constructor(problem: ProblemDocument) {
    super(problem.code)
    this.problem = problem
  }
}

const PATIENCE_MS = 15_000

/** Opens a socket with a ticket of its own. */
export async function openTestSocket(url: string, accessToken: string): Promise<TestSocket> {
  const answer = await fetch(`${url}/v1/socket-tickets`, {
    method: 'POST',
    headers: { authorization: `Bearer ${accessToken}` },
  })
  const { ticket } = (await answer.json()) as { ticket: string }
  return connectTestSocket(url, ticket)
}

export async function connectTestSocket(url: string, ticket: string): Promise<TestSocket> {
  const webSocket = new WebSocket(url.replace('http', 'ws') + SOCKET_PATH, [
    SOCKET_PROTOCOL,
    SOCKET_TICKET_PREFIX + ticket,
  ])
  const frames: Frame[] = []
  const listeners = new Set<(frame: Frame) => void>()
  const closed = new Promise<number>((resolve) => webSocket.on('close', resolve))
  let lastId = 0
  webSocket.on('message', (data) => {
    const frame = JSON.parse((data as Buffer).toString('utf8')) as Frame
    frames.push(frame)
    for (const listener of listeners) listener(frame)
  })
  await new Promise<void>((resolve, reject) => {
    webSocket.on('open', resolve)
    webSocket.on('error', reject)
  })

  function next<Op extends Frame['op']>(
    op: Op,
    fits: (frame: FrameOf<Op>) => boolean = () => true,
  ): Promise<FrameOf<Op>> {
    const isIt = (frame: Frame): frame is FrameOf<Op> => frame.op === op && fits(frame as FrameOf<Op>)
    const known = frames.find(isIt)
    if (known !== undefined) return Promise.resolve(known)
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer)
        listeners.delete(listener)
      }
      const fail = (why: string) => {
        stop()
        reject(new Error(`No ${op} frame came (${why}); there were: ${frames.map((frame) => frame.op).join(', ')}`))
      }
      const timer = setTimeout(() => fail('patience is over'), PATIENCE_MS)
      const listener = (frame: Frame) => {
        if (!isIt(frame)) return
        stop()
        resolve(frame)
      }
      listeners.add(listener)
      void closed.then((code) => listeners.has(listener) && fail(`closed with ${code}`))
    })
  }

  return {
    webSocket,
    frames,
    next,
    closed,
    async command(op, body) {
      const id = ++lastId
      webSocket.send(JSON.stringify({ op, id, ...body }))
      const answer = await Promise.race([
        next('reply', (frame) => frame.id === id),
        next('error', (frame) => frame.id === id),
      ])
      if (answer.op === 'error') throw new CommandRefused(answer.problem)
      return answer.result as never
    },
    close: () => webSocket.close(),
  }
}
