import type { Entry, UserId } from '@sotto/protocol'

/**
 * The unread number of one conversation, right in every interleaving.
 *
 * The server says how many entries are unread as of a position; the client adds what it has received after that
 * position. So a count and an entry may arrive in any order, twice, or late: an entry up to `asOfSeq` is in the server's
 * number already, a later one is counted once, by its position.
 */
export interface Unread {
  /** The server's number as of `asOfSeq`. */
  readonly base: number
  readonly asOfSeq: number
  readonly readSeq: number
  /** Positions after `asOfSeq` of received entries by others that count, ascending, each once. */
  readonly later: readonly number[]
}

/** The server's word on it: from a summary, a reply, or a frame to the user's own devices. */
export interface ServerUnread {
  readonly unread: number
  readonly asOfSeq: number
  readonly readSeq: number
}

export function createUnread({ unread, asOfSeq, readSeq }: ServerUnread): Unread {
  return { base: unread, asOfSeq, readSeq, later: [] }
}

/**
 * Takes the server's word unless a newer one was heard: positions and cursors only grow on the server, so of two words
 * the newer has the greater `asOfSeq`, or the same and the greater `readSeq`.
 */
export function adoptUnread(unread: Unread, word: ServerUnread): Unread {
  const older = word.asOfSeq < unread.asOfSeq || (word.asOfSeq === unread.asOfSeq && word.readSeq < unread.readSeq)
  if (older) return unread
  const later = unread.later.filter((seq) => seq > word.asOfSeq)
  return { base: word.unread, asOfSeq: word.asOfSeq, readSeq: word.readSeq, later }
}

/** Counts a received entry, if it counts, once. */
export function countEntry(unread: Unread, entry: Entry, me: UserId): Unread {
  if (!countsFor(entry, me) || entry.seq <= unread.asOfSeq) return unread
  const { later } = unread
  const last = later.at(-1)
  if (last === undefined || entry.seq > last) return { ...unread, later: [...later, entry.seq] }
  const place = later.findIndex((seq) => seq >= entry.seq)
  if (later[place] === entry.seq) return unread
  return { ...unread, later: later.toSpliced(place, 0, entry.seq) }
}

export function unreadNumber(unread: Unread): number {
  return unread.base + unread.later.length
}

export function countsFor(entry: Entry, me: UserId): boolean {
  return entry.header.counts && entry.sender.userId !== me
}
