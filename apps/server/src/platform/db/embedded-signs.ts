/** What the embedded engine's thread shows in memory that it shares, without being asked. */

/** How many times the disk was told to keep what it has. */
export const SYNCS = 0
/** Grows as long as the thread is not in one and the same call into the engine. */
export const BEATS = 1

export function createSigns(): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))
}
