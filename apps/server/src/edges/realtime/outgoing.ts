import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'

/**
 * Writes frames to sockets, coalesced: what is queued for a socket within one turn of the event loop goes out in one write.
 * The write is what costs, not the framing. The system is given one write at a time, so that it shows whether the peer
 * reads; what waits behind it is shared with the other sockets that wait for it, not copied.
 *
 * | what waits | what happens |
 * |---|---|
 * | up to `queueBytesMax` | it goes out as the peer reads |
 * | more, and writes come to their end | the same: a large answer or a burst is no sign of a slow reader |
 * | more, and no write has come to its end for `STALL_MS` | the owner is told, and cuts the socket |
 * | more than `BURST_FACTOR` times as much | the same, at once: memory is bounded |
 */
export interface Outgoing {
  send(frame: EncodedFrame): void
  /** What waits behind the write that is under way. */
  readonly waitingBytes: number
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

/** One write, if no single frame is larger. */
const WRITE_BYTES_MAX = 65_536
/** The slowest line of which a write is expected to come to its end within this has some 15 kB/s. */
const STALL_MS = 10_000
const BURST_FACTOR = 4

const dirty = new Set<Writer>()
let isScheduled = false

interface Writer extends Outgoing {
  flush(): void
}

/** @param options.onSlow  the peer does not read what waits for it */
export function createOutgoing(
  webSocket: WebSocket,
  transport: Duplex,
  options: { readonly queueBytesMax: number; onSlow(): void },
): Outgoing {
  let queue: EncodedFrame[] = []
  let waitingBytes = 0
  let writes = 0
  let isWriting = false
  let stall: NodeJS.Timeout | undefined

  /** Takes whole frames: `ws` writes its own (ping, pong, close) between them. Without extensions it keeps none back. */
  function take(): EncodedFrame[] {
    let count = 0
    let bytes = 0
    while (count < queue.length && (count === 0 || bytes + queue[count]!.length <= WRITE_BYTES_MAX))
      bytes += queue[count++]!.length
    const frames = count === queue.length ? queue : queue.slice(0, count)
    queue = count === queue.length ? [] : queue.slice(count)
    waitingBytes -= bytes
    return frames
  }

  function write(frames: readonly EncodedFrame[]): void {
    const number = ++writes
    transport.write(join(frames), () => {
      if (number === writes) onWritten()
    })
    // A system with room takes it before `write` returns.
    isWriting = transport.writableLength > 0
  }

  function onWritten(): void {
    isWriting = false
    clearTimeout(stall)
    stall = undefined
    if (queue.length > 0) writer.flush()
  }

  function drop(): void {
    clearTimeout(stall)
    queue = []
    waitingBytes = 0
  }

  function judge(): void {
    if (waitingBytes <= options.queueBytesMax) return
    if (waitingBytes <= options.queueBytesMax * BURST_FACTOR) {
      stall ??= setTimeout(onSlow, STALL_MS).unref()
      return
    }
    onSlow()
  }

  function onSlow(): void {
    drop()
    options.onSlow()
  }

  const writer: Writer = {
    get waitingBytes() {
      return waitingBytes
    },
    send(frame) {
      queue.push(frame)
      waitingBytes += frame.length
      dirty.add(writer)
      if (isScheduled) return
      isScheduled = true
      setImmediate(flushAll)
    },
    flush() {
      if (webSocket.readyState !== webSocket.OPEN) return drop()
      while (!isWriting && queue.length > 0) write(take())
      judge()
    },
  }
  return writer
}

function flushAll(): void {
  isScheduled = false
  const writers = [...dirty]
  dirty.clear()
  for (const writer of writers) writer.flush()
  joined = undefined
}

/** What went to the socket before: the members of one conversation mostly get the same, which is put together once. */
let joined: { readonly frames: readonly EncodedFrame[]; readonly bytes: Buffer } | undefined

function join(frames: readonly EncodedFrame[]): Buffer {
  if (frames.length === 1) return frames[0]!
  if (joined?.frames.length !== frames.length || frames.some((frame, index) => frame !== joined!.frames[index]))
    joined = { frames, bytes: Buffer.concat(frames) }
  return joined.bytes
}
