/** The reference of sockets: a bare `ws` server with rooms that passes frames on, and nothing else. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import { startRounds, stopRounds } from './lib/rounds.ts'
import { readMemory, readUsage } from './lib/process-figures.ts'
import { serveCalls } from './lib/rpc.ts'

interface Room {
  readonly members: { readonly webSocket: WebSocket; readonly transport: Duplex }[]
  waiting: Buffer[]
  isScheduled: boolean
}

const rooms = new Map<string, Room>()
/** How many frames of a room go out in one write to a socket. */
let framesPerWrite = 1
let writes = 0

const http = createServer()
const webSockets = new WebSocketServer({ noServer: true, clientTracking: false, perMessageDeflate: false })
http.on('upgrade', (request, transport, head) => {
  webSockets.handleUpgrade(request, transport, head, (webSocket) => join(request.url!, webSocket, transport))
})

function join(path: string, webSocket: WebSocket, transport: Duplex): void {
  const room = rooms.get(path) ?? { members: [], waiting: [], isScheduled: false }
  rooms.set(path, room)
  const member = { webSocket, transport }
  room.members.push(member)
  webSocket.on('error', () => webSocket.terminate())
  webSocket.on('close', () => room.members.splice(room.members.indexOf(member), 1))
  webSocket.on('message', (frame: Buffer) => {
    room.waiting.push(frame)
    if (room.waiting.length >= framesPerWrite) passOnSoon(room)
  })
}

function passOnSoon(room: Room): void {
  if (room.isScheduled) return
  room.isScheduled = true
  setImmediate(passOn, room)
}

/** As many frames in each write as were asked for: not more, when more have come; the rest waits for its fellows. */
function passOn(room: Room): void {
  room.isScheduled = false
  while (room.waiting.length >= framesPerWrite) writeToAll(room, room.waiting.splice(0, framesPerWrite))
}

function writeToAll(room: Room, frames: readonly Buffer[]): void {
  for (const { webSocket, transport } of room.members) {
    transport.cork()
    for (const frame of frames) webSocket.send(frame, { binary: false })
    transport.uncork()
    writes++
  }
}

interface RoundsInput {
  readonly framesPerWrite: number
  readonly frameBytes: number
}

const calls = {
  start: () =>
    new Promise<{ url: string }>((resolve) => {
      http.listen(0, '127.0.0.1', () => resolve({ url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}` }))
    }),
  coalesce(input: { readonly framesPerWrite: number }) {
    framesPerWrite = input.framesPerWrite
    for (const room of rooms.values()) room.waiting = []
  },
  figures: () => ({ ...readUsage(), writes }),
  /** Frames to all, round by round. */
  startRounds(input: RoundsInput) {
    const frame = Buffer.alloc(input.frameBytes, 'x')
    const frames = Array.from({ length: input.framesPerWrite }, () => frame)
    const busy = [...rooms.values()].filter((room) => room.members.length > 0)
    startRounds(
      () => busy.forEach((room) => writeToAll(room, frames)),
      () => busy.every(({ members }) => members.every(({ transport }) => transport.writableLength === 0)),
    )
  },
  stopRounds,
  memory: readMemory,
}

export type BareSocketCalls = typeof calls

serveCalls(calls)
