/**
 * A WebSocket client (RFC 6455) that costs the load generator as little as possible, so that the server is what is
 * measured: frames are taken apart where they lie, and what is sent is masked with zeros, which changes no byte.
 */

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface LightSocket {
  /** One text frame. What is sent in one turn of the event loop goes out in one write. */
  send(text: string): void
  /** Told of each text frame's bytes; they are valid during the call only. */
  onFrame: (payload: Buffer) => void
  onClose: (code: number) => void
  close(): void
}

const TEXT = 0x1
const CLOSE = 0x8
const PING = 0x9

/** @throws Error when the server refuses the upgrade */
export async function openLightSocket(url: string, protocols: readonly string[]): Promise<LightSocket> {
  const { hostname, port, pathname } = new URL(url)
  const tcp = connect({ host: hostname, port: Number(port), noDelay: true })
  await once(tcp, 'connect')
  tcp.write(
    [
      `GET ${pathname} HTTP/1.1`,
      `host: ${hostname}:${port}`,
      'upgrade: websocket',
      'connection: upgrade',
      `sec-websocket-key: ${randomBytes(16).toString('base64')}`,
      'sec-websocket-version: 13',
      ...(protocols.length === 0 ? [] : [`sec-websocket-protocol: ${protocols.join(', ')}`]),
      '\r\n',
    ].join('\r\n'),
  )
  const rest = await readAnswer(tcp)
  return frameSocket(tcp, rest)
}

async function readAnswer(tcp: Socket): Promise<Buffer> {
  let bytes = Buffer.alloc(0)
  for (;;) {
    const [chunk] = (await Promise.race([once(tcp, 'data'), once(tcp, 'close').then(() => [])])) as [Buffer?]
    if (chunk === undefined) throw new Error('The server closed the connection instead of upgrading it')
    bytes = Buffer.concat([bytes, chunk])
    const end = bytes.indexOf('\r\n\r\n')
    if (end < 0) continue
    const head = bytes.toString('latin1', 0, end)
    if (!head.startsWith('HTTP/1.1 101')) throw new Error(`The upgrade was refused: ${bytes.toString('utf8')}`)
    return bytes.subarray(end + 4)
  }
}

function frameSocket(tcp: Socket, first: Buffer): LightSocket {
  let rest = Buffer.alloc(0)
  let isCorked = false
  const socket: LightSocket = {
    onFrame: () => {},
    onClose: () => {},
    send(text) {
      if (!isCorked) {
        isCorked = true
        tcp.cork()
        setImmediate(() => {
          isCorked = false
          tcp.uncork()
        })
      }
      tcp.write(encodeFrame(TEXT, Buffer.from(text, 'utf8')))
    },
    close() {
      tcp.end(encodeFrame(CLOSE, Buffer.from([0x03, 0xe8])))
      tcp.destroySoon()
    },
  }
  function take(chunk: Buffer): void {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    for (;;) {
      const frame = readFrame(bytes, at)
      if (frame === undefined) break
      if (frame.opcode === TEXT) socket.onFrame(bytes.subarray(frame.start, frame.end))
      else if (frame.opcode === PING) tcp.write(encodeFrame(0xa, bytes.subarray(frame.start, frame.end)))
      else if (frame.opcode === CLOSE) {
        socket.onClose(frame.end - frame.start >= 2 ? bytes.readUInt16BE(frame.start) : 1005)
        tcp.destroySoon()
      }
      at = frame.end
    }
    rest = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at))
  }
  tcp.on('data', take)
  tcp.on('error', () => tcp.destroy())
  if (first.length > 0) setImmediate(() => take(first))
  return socket
}

/** A server's frames are whole and not masked: the servers measured here do not fragment. */
function readFrame(bytes: Buffer, at: number): { opcode: number; start: number; end: number } | undefined {
  if (bytes.length < at + 2) return undefined
  const short = bytes[at + 1]! & 0x7f
  const start = at + (short === 126 ? 4 : short === 127 ? 10 : 2)
  if (bytes.length < start) return undefined
  const length = short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? bytes.readUInt32BE(at + 6) : short
  const end = start + length
  return bytes.length < end ? undefined : { opcode: bytes[at]! & 0x0f, start, end }
}

function encodeFrame(opcode: number, payload: Uint8Array): Buffer {
  const isShort = payload.length < 126
  const headBytes = isShort ? 6 : 8
  const frame = Buffer.alloc(headBytes + payload.length)
  frame[0] = 0x80 | opcode
  frame[1] = 0x80 | (isShort ? payload.length : 126)
  if (!isShort) frame.writeUInt16BE(payload.length, 2)
  frame.set(payload, headBytes)
  return frame
}
