import { SealBroken } from '../../platform/crypto/envelope.ts'
import { problem, type SealedThing } from '../../platform/problem/problem.ts'

/**
 * Opens something sealed. That it does not open, with the key that belongs to it, means that it or its key was changed
 * outside of Sotto: the database was written to by another hand, moved, or damaged.
 *
 * @param thing  what it is, by ids only: the edge writes it into the log (`keys.tampered`), where an operator finds it
 * @throws keys/tampered 500, and whatever else `open` throws
 */
export async function noticeTampering<T>(thing: SealedThing, open: () => Promise<T>): Promise<T> {
  try {
    return await open()
  } catch (cause) {
    if (!(cause instanceof SealBroken)) throw cause
    throw problem('keys/tampered', { cause, tampered: thing })
  }
}
