/** The reference of sockets: a bare `ws` server with rooms that passes frames on, and nothing else. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
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

function passOn(room: Room): void {
  room.isScheduled = false
  const frames = room.waiting
  room.waiting = []
  for (const { webSocket, transport } of room.members) {
    transport.cork()
    for (const frame of frames) webSocket.send(frame, { binary: false })
    transport.uncork()
  }
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
  figures: readUsage,
  memory: readMemory,
}

export type BareSocketCalls = typeof calls

serveCalls(calls)
