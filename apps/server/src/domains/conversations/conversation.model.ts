import type { ConversationId, DeviceId, EntryHeader, EntryId, EntryKind, Payload, UserId } from '@sotto/protocol'
import type { Instant } from '../../platform/time/clock.ts'

/** An entry as it stands at rest. */
export interface StoredEntry {
  readonly conversationId: ConversationId
  readonly seq: number
  readonly countable: number
  readonly entryId: EntryId
  readonly kind: EntryKind
  readonly senderUserId: UserId
  readonly senderDeviceId: DeviceId
  readonly at: Instant
  readonly clientSentAt: Instant | null
  readonly header: EntryHeader
  /** null: erased. */
  readonly bodyCiphertext: Uint8Array | null
}

/** What is known of a conversation once its row is locked: where its log ends. */
export interface LogEnd {
  readonly conversationId: ConversationId
  readonly lastSeq: number
  readonly lastCountable: number
  readonly closed: boolean
  readonly keyEpoch: number
  readonly subjectUserId: UserId | null
}

/** An entry before it has a place in the log. */
export interface NewEntry {
  readonly entryId: EntryId
  readonly kind: EntryKind
  readonly header: EntryHeader
  readonly payload: Payload
  readonly clientSentAt: Instant | null
}

export interface MemberCounts {
  readonly readCountable: number
  readonly sentCountable: number
  readonly readSentCountable: number
}

/**
 * What counts and came after the read cursor, less what the member sent since: a difference of running numbers, so it is
 * right whatever the order in which entries, sends and cursor moves commit.
 */
export function countUnread(lastCountable: number, counts: MemberCounts): number {
  return lastCountable - counts.readCountable - (counts.sentCountable - counts.readSentCountable)
}

/** The next place in the log: gapless, and countable only when the header says so. */
export function nextPlace(
  end: { readonly lastSeq: number; readonly lastCountable: number },
  counts: boolean,
): { readonly lastSeq: number; readonly lastCountable: number } {
  return { lastSeq: end.lastSeq + 1, lastCountable: end.lastCountable + (counts ? 1 : 0) }
}

/** A member who joins sees everything, or what comes from the joining on. */
export function firstVisibleSeq(history: 'full' | 'since-join', joinedSeq: number): number {
  return history === 'full' ? 1 : joinedSeq
}
