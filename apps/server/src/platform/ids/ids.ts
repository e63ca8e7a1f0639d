import { randomBytes } from 'node:crypto'
import { instant, type Clock, type Instant } from '../time/clock.ts'

/** Random bytes are a parameter, like time: tests pass a seeded source. */
export interface Random {
  bytes(length: number): Uint8Array
}

export const systemRandom: Random = { bytes: (length) => randomBytes(length) }

/** Makes ids: UUIDv7 (RFC 9562 §5.7), ordered by birth to the millisecond, never used to order anything. */
export interface Ids {
  next<Id extends string>(): Id
  /** An id whose millisecond of birth is the given one: for records that are found by both. */
  at<Id extends string>(birth: Instant): Id
}

const ENTROPY_BYTES = 10
/** Random bytes cost by the call, so they are drawn for several ids at once. Ids are no secrets: some may lie ready. */
const IDS_PER_DRAW = 64

export function createIds(clock: Clock, random: Random): Ids {
  let entropy = new Uint8Array(0)
  let used = 0
  const at = <Id extends string>(birth: Instant) => {
    if (used === entropy.length) {
      entropy = Uint8Array.from(random.bytes(ENTROPY_BYTES * IDS_PER_DRAW))
      used = 0
    }
    return uuidv7(birth, entropy.subarray(used, (used += ENTROPY_BYTES))) as Id
  }
  return { next: <Id extends string>() => at<Id>(clock.now()), at }
}

/** The millisecond of birth that a UUIDv7 carries in its first 48 bits. */
export function birthOf(id: string): Instant {
  return instant(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16))
}

/** @param entropy  10 random bytes; 74 bits of them are used */
export function uuidv7(unixMs: number, entropy: Uint8Array): string {
  const bytes = Buffer.alloc(16)
  bytes.writeUIntBE(unixMs, 0, 6)
  bytes.set(entropy.subarray(0, 10), 6)
  bytes[6] = (bytes[6]! & 0x0f) | 0x70
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
