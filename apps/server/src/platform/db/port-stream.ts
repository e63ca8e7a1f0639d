/**
 * The socket that `pg` believes to hold, over a MessagePort: the embedded engine listens on no address, so no other
 * process can talk to it, nothing is left behind after a crash, and it works the same on every system.
 */

import { Duplex } from 'node:stream'
import type { MessagePort } from 'node:worker_threads'

export class PortStream extends Duplex {
  readonly #port: MessagePort
  #outgoing: Uint8Array[] = []

  constructor(port: MessagePort) {
    super({ autoDestroy: true })
    this.#port = port
    port.on('message', (chunk: Uint8Array) => this.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)))
    port.on('close', () => this.destroy())
  }

  /** What `net.Socket` has and `pg` calls. The port is connected from the start. */
  connect(): void {
    queueMicrotask(() => this.emit('connect'))
  }
  setNoDelay(): void {}
  setKeepAlive(): void {}
  ref(): void {
    this.#port.ref()
  }
  unref(): void {
    this.#port.unref()
  }

  override _read(): void {}

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.#send(chunk)
    done()
  }

  override _writev(chunks: { chunk: Uint8Array }[], done: () => void): void {
    for (const { chunk } of chunks) this.#send(chunk)
    done()
  }

  override _final(done: () => void): void {
    this.#flush()
    this.#port.close()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#port.close()
    done(error)
  }

  /** Pipelined statements of one tick become one message: the engine then answers them in one go. */
  #send(chunk: Uint8Array): void {
    if (this.#outgoing.push(chunk) === 1) process.nextTick(() => this.#flush())
  }

  #flush(): void {
    if (this.#outgoing.length === 0) return
    const bytes = new Uint8Array(Buffer.concat(this.#outgoing))
    this.#outgoing = []
    this.#port.postMessage(bytes, [bytes.buffer])
  }
}
