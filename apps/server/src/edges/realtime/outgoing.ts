import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'

/**
 * Writes frames to sockets, coalesced: what is queued for a socket within one turn of the event loop goes out in one write.
 * The write is what costs, not the framing. A socket that does not keep up is told to its owner, who cuts it.
 */
export interface Outgoing {
  send(frame: EncodedFrame): void
}

declare const encoded: unique symbol

/** A text frame as it goes over the wire: made once, written to many sockets. */
export type EncodedFrame = Buffer & { readonly [encoded]: true }

/** RFC 6455 §5.2: one unfragmented text frame; a server does not mask. */
export function encodeFrame(text: string): EncodedFrame {
  const length = Buffer.byteLength(text)
  const headBytes = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const frame = Buffer.allocUnsafe(headBytes + length)
  frame[0] = 0x81
  frame[1] = length < 126 ? length : length < 65_536 ? 126 : 127
  if (headBytes === 4) frame.writeUInt16BE(length, 2)
  else if (headBytes === 10) frame.writeBigUInt64BE(BigInt(length), 2)
  frame.write(text, headBytes)
  return frame as EncodedFrame
}

const dirty = new Set<Writer>()
let isScheduled = false

interface Writer extends Outgoing {
  flush(): void
}

/** @param options.onSlow  more than `queueBytesMax` wait: the peer reads too slowly */
export function createOutgoing(
  webSocket: WebSocket,
  transport: Duplex,
  options: { readonly queueBytesMax: number; onSlow(): void },
): Outgoing {
  let queue: EncodedFrame[] = []
  const writer: Writer = {
    send(frame) {
      queue.push(frame)
      dirty.add(writer)
      if (isScheduled) return
      isScheduled = true
      setImmediate(flushAll)
    },
    flush() {
      const frames = queue
      queue = []
      if (webSocket.readyState !== webSocket.OPEN) return
      if (webSocket.bufferedAmount > options.queueBytesMax) return options.onSlow()
      // Whole frames, between those that `ws` writes itself (ping, pong, close): without extensions it keeps none back.
      transport.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames))
    },
  }
  return writer
}

function flushAll(): void {
  isScheduled = false
  const writers = [...dirty]
  dirty.clear()
  for (const writer of writers) writer.flush()
}
