import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'

/**
 * Writes frames to sockets, coalesced: what is queued for a socket within one turn of the event loop goes out in one write.
 * The write is what costs, not the framing. A socket that does not keep up is told to its owner, who cuts it.
 */
export interface Outgoing {
  send(frame: string | Buffer): void
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
  let queue: (string | Buffer)[] = []
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
      transport.cork()
      for (const frame of frames) webSocket.send(frame, { binary: false })
      transport.uncork()
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
