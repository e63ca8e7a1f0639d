import type { AnyFrame } from '../sync/state.ts'

/** The part of a WebSocket that the SDK uses: browsers, Node and `ws` all have it. */
export interface SocketLike {
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void
  addEventListener(type: 'close', listener: (event: { readonly code: number }) => void): void
  addEventListener(type: 'error', listener: () => void): void
  send(text: string): void
  close(code?: number): void
}
export type SocketConstructor = new (url: string, protocols: string[]) => SocketLike

export interface OpenSocketOptions {
  readonly WebSocket: SocketConstructor
  /** Of the server, `http:` or `https:`. */
  readonly url: string
  readonly ticket: string
  onFrame(frame: AnyFrame): void
  /** Called once, whoever closed it, and also when it could not be opened. */
  onClosed(code: number): void
}

export interface OpenSocket {
  write(frame: object): void
  close(): void
}

/** The ticket travels as a subprotocol, so that it stands in no URL and in no log (RFC 6455 §1.9). */
export function openSocket(options: OpenSocketOptions): OpenSocket {
  const url = `${options.url.replace(/^http/, 'ws')}/v1/socket`
  const socket = new options.WebSocket(url, ['sotto.v1', `sotto.ticket.${options.ticket}`])
  let open = true

  function onClosed(code: number): void {
    if (!open) return
    open = false
    options.onClosed(code)
  }
  socket.addEventListener('message', ({ data }) => {
    const frame = parseFrame(data)
    if (open && frame !== undefined) options.onFrame(frame)
  })
  socket.addEventListener('close', ({ code }) => onClosed(code))
  // Listened to because Node's `ws` throws otherwise. A close event follows every error.
  socket.addEventListener('error', () => {})
  return {
    write(frame) {
      try {
        socket.send(JSON.stringify(frame))
      } catch {
        // Closing already: the close event is on its way, and what was written is sent again after it.
      }
    },
    close() {
      open = false
      try {
        socket.close(1000)
      } catch {
        // Not open yet in some implementations; it is never listened to again.
      }
    },
  }
}

/** What is not an object with an `op` is not a frame of this protocol, whatever it is. */
function parseFrame(data: unknown): AnyFrame | undefined {
  if (typeof data !== 'string') return undefined
  try {
    const frame = JSON.parse(data) as Partial<AnyFrame> | null
    return typeof frame?.op === 'string' ? (frame as AnyFrame) : undefined
  } catch {
    return undefined
  }
}
