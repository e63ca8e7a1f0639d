/** Random bytes are a parameter, like time: tests pass a seeded source. */
export interface Random {
  bytes(length: number): Uint8Array
}

/** The platform's cryptographic source. */
export const systemRandom: Random = { bytes: (length) => crypto.getRandomValues(new Uint8Array(length)) }

/** A number in [0, 1) for jitter. */
export function fraction(random: Random): number {
  const [a = 0, b = 0, c = 0, d = 0] = random.bytes(4)
  return (((a << 24) | (b << 16) | (c << 8) | d) >>> 0) / 2 ** 32
}

/**
 * A UUIDv7 (RFC 9562 §5.7): born at `unixMs` by the device's clock, which nobody trusts; order is never taken from it.
 *
 * @param unixMs  milliseconds since the epoch; anything outside of 48 bits is clamped
 */
export function uuidv7(unixMs: number, random: Random): string {
  const bytes = new Uint8Array(16)
  bytes.set(random.bytes(10), 6)
  let rest = Math.min(Math.max(0, Math.floor(unixMs) || 0), 2 ** 48 - 1)
  for (let index = 5; index >= 0; index -= 1) {
    bytes[index] = rest % 256
    rest = Math.floor(rest / 256)
  }
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
