import type { EntryItem, TimelineItem } from '@sotto/sdk'

/** What stands in the timeline, top to bottom. */
export type TimelineRow =
  | { readonly type: 'day'; readonly key: string; readonly at: string }
  | { readonly type: 'unread'; readonly key: string }
  | { readonly type: 'note'; readonly key: string; readonly item: EntryItem }
  | MessageRow

export interface MessageRow {
  readonly type: 'message'
  readonly key: string
  readonly item: TimelineItem
  readonly mine: boolean
  /** Messages of one sender within a few minutes belong together: the first one names her. */
  readonly startsGroup: boolean
}

const GROUP_MS = 5 * 60_000

/**
 * Puts days, the unread line and senders into the timeline.
 *
 * @param readSeq  the line stands above the first message by another after this position; null: no line
 */
export function buildRows(items: readonly TimelineItem[], readSeq: number | null): readonly TimelineRow[] {
  const rows: TimelineRow[] = []
  let day = ''
  let before: TimelineItem | null = null
  let isLineDrawn = readSeq === null
  for (const item of items) {
    const at = instantOf(item)
    if (dayOf(at) !== day) {
      day = dayOf(at)
      before = null
      rows.push({ type: 'day', key: `day ${item.key}`, at })
    }
    if (!isLineDrawn && isUnread(item, readSeq ?? 0)) {
      isLineDrawn = true
      before = null
      rows.push({ type: 'unread', key: 'unread' })
    }
    if (isNote(item)) {
      before = null
      rows.push({ type: 'note', key: item.key, item })
      continue
    }
    const startsGroup = before === null || !belongTogether(before, item)
    rows.push({ type: 'message', key: item.key, item, mine: isMine(item), startsGroup })
    before = item
  }
  return rows
}

/** By the server's clock, or this device's while the server has not seen it. */
export function instantOf(item: TimelineItem): string {
  return item.type === 'entry' ? item.entry.at : item.clientSentAt
}

export function isMine(item: TimelineItem): boolean {
  return item.type === 'pending' || item.mine
}

function isNote(item: TimelineItem): item is EntryItem {
  return item.type === 'entry' && item.entry.kind !== 'application'
}

function isUnread(item: TimelineItem, readSeq: number): boolean {
  return item.type === 'entry' && !item.mine && item.entry.seq > readSeq && item.entry.header.counts
}

function belongTogether(before: TimelineItem, item: TimelineItem): boolean {
  const isSameSender =
    isMine(before) || isMine(item)
      ? isMine(before) === isMine(item)
      : before.type === 'entry' && item.type === 'entry' && before.entry.sender.userId === item.entry.sender.userId
  return isSameSender && Date.parse(instantOf(item)) - Date.parse(instantOf(before)) < GROUP_MS
}

/** The calendar day on this device. */
function dayOf(instant: string): string {
  return new Date(instant).toDateString()
}
