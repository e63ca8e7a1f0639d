/** Cuts a byte stream of the PostgreSQL protocol (frontend side) into whole messages. */

const CANCEL_REQUEST = 80_877_102
const SSL_REQUEST = 80_877_103

export interface Framing {
  /** @returns everything that is complete by now, in order; a start-up packet always stands alone */
  push(chunk: Uint8Array): Uint8Array[]
}

/**
 * Each session starts with one packet without a type byte (§53.7 of the PostgreSQL manual); then each message is a type
 * byte and a length that counts itself. Consecutive messages are given out in one piece: the engine works them off at once.
 */
export function createFraming(): Framing {
  let rest: Buffer = Buffer.alloc(0)
  let hasStarted = false

  function takeStartUp(): Uint8Array | undefined {
    if (rest.length < 8) return undefined
    const length = rest.readInt32BE(0)
    if (rest.length < length) return undefined
    const request = rest.readInt32BE(4)
    if (request === CANCEL_REQUEST || request === SSL_REQUEST) throw new Error('Not spoken on an in-process connection')
    hasStarted = true
    const packet = rest.subarray(0, length)
    rest = rest.subarray(length)
    return packet
  }

  function takeMessages(): Uint8Array | undefined {
    let end = 0
    while (rest.length - end >= 5) {
      const next = end + 1 + rest.readInt32BE(end + 1)
      if (next > rest.length) break
      end = next
    }
    if (end === 0) return undefined
    const messages = rest.subarray(0, end)
    rest = rest.subarray(end)
    return messages
  }

  return {
    push(chunk) {
      rest =
        rest.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length) : Buffer.concat([rest, chunk])
      const out: Uint8Array[] = []
      if (!hasStarted) {
        const packet = takeStartUp()
        if (packet === undefined) return out
        out.push(packet)
      }
      const messages = takeMessages()
      if (messages !== undefined) out.push(messages)
      return out
    },
  }
}
