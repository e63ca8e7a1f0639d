import type { Entry, EntryHeader, SendablePayload, UserId } from '@sotto/protocol'
import { SottoProblem } from '../api/problem.ts'
import type { ConversationState, OutboxItem } from '../sync/state.ts'

/**
 * How far a message of the user's own has come: `sent` the server has it on its disk, `delivered` every other member's
 * device has it, `read` every other member has read it. `null` for messages of others.
 */
export type Delivery = 'sent' | 'delivered' | 'read'

/** An entry of the log, in its place. */
export interface EntryItem {
  readonly type: 'entry'
  /** The entry's id: the same while the message was pending, so that nothing jumps when it is sent. */
  readonly key: string
  readonly entry: Entry
  readonly mine: boolean
  readonly delivery: Delivery | null
}

/** A message of this device that is not in the log yet. */
export interface PendingItem {
  readonly type: 'pending'
  readonly key: string
  /** `sent`: the server has it, its entry is on the way. `failed`: see `problem`, then `retry` or `discard`. */
  readonly state: 'waiting' | 'sending' | 'sent' | 'failed'
  readonly payload: SendablePayload
  readonly header: Partial<Pick<EntryHeader, 'priority' | 'notify'>>
  /** RFC 3339, by this device's clock: shown, never compared with the server's times. */
  readonly clientSentAt: string
  readonly problem: SottoProblem | null
}

/** What a conversation shows, oldest first: the log, then what waits to be in it. */
export type TimelineItem = EntryItem | PendingItem

/** Makes items; the same object as long as nothing about it changes, so that a list re-renders what changed only. */
export interface Timeline {
  render(
    conversation: ConversationState | undefined,
    queue: readonly OutboxItem[],
    me: UserId | null,
  ): readonly TimelineItem[]
}

export function createTimeline(): Timeline {
  const entryItems = new WeakMap<Entry, EntryItem>()
  const pendingItems = new WeakMap<OutboxItem, PendingItem>()

  function entryItem(entry: Entry, mine: boolean, delivery: Delivery | null): EntryItem {
    const known = entryItems.get(entry)
    if (known?.delivery === delivery && known.mine === mine) return known
    const item: EntryItem = { type: 'entry', key: entry.entryId, entry, mine, delivery }
    entryItems.set(entry, item)
    return item
  }

  function pendingItem(outboxItem: OutboxItem): PendingItem {
    const known = pendingItems.get(outboxItem)
    if (known !== undefined) return known
    const { entryId, state, payload, header, clientSentAt, problem } = outboxItem
    const item: PendingItem = {
      type: 'pending',
      key: entryId,
      state,
      payload,
      header,
      clientSentAt,
      problem: problem === null ? null : new SottoProblem(problem),
    }
    pendingItems.set(outboxItem, item)
    return item
  }

  return {
    render(conversation, queue, me) {
      const reach = reachOf(conversation)
      const entries = (conversation?.entries ?? []).map((entry) => {
        const mine = entry.sender.userId === me
        return entryItem(entry, mine, mine && entry.kind === 'application' ? deliveryOf(entry.seq, reach) : null)
      })
      return [...entries, ...queue.map(pendingItem)]
    },
  }
}

interface Reach {
  readonly deliveredToAll: number
  readonly readByAll: number
}

/** What all other members have. Cursors are known of all of them or of none (above a member limit there are none). */
function reachOf(conversation: ConversationState | undefined): Reach {
  const cursors = [...(conversation?.cursors.values() ?? [])]
  if (cursors.length === 0) return { deliveredToAll: 0, readByAll: 0 }
  return {
    deliveredToAll: Math.min(...cursors.map(({ deliveredSeq }) => deliveredSeq)),
    readByAll: Math.min(...cursors.map(({ readSeq }) => readSeq)),
  }
}

function deliveryOf(seq: number, { deliveredToAll, readByAll }: Reach): Delivery {
  if (seq <= readByAll) return 'read'
  return seq <= deliveredToAll ? 'delivered' : 'sent'
}
