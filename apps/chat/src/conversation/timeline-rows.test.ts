import type { EntryItem, PendingItem } from '@sotto/sdk'
import { describe, expect, test } from 'vitest'
import { buildRows, type TimelineRow } from './timeline-rows.ts'

const minute = 60_000
const noon = new Date(2026, 2, 8, 12).getTime()

interface Said {
  readonly seq: number
  readonly by: 'alice' | 'bob'
  readonly minutes: number
  readonly kind?: 'application' | 'membership'
}

/** As Alice's device has it. */
function said({ seq, by, minutes, kind = 'application' }: Said): EntryItem {
  const at = new Date(noon + minutes * minute).toISOString()
  const counts = kind === 'application'
  const entry = { seq, kind, at, sender: { userId: by }, header: { counts }, entryId: `entry-${seq}` }
  return { type: 'entry', key: `entry-${seq}`, mine: by === 'alice', delivery: null, entry: entry as never }
}

const waiting = {
  type: 'pending',
  key: 'entry-9',
  state: 'waiting',
  clientSentAt: new Date(noon + 9 * minute).toISOString(),
} as PendingItem

const draw = (rows: readonly TimelineRow[]): readonly string[] =>
  rows.map((row) => (row.type === 'message' ? `${row.startsGroup ? 'first ' : ''}${row.key}` : row.type))

describe('the timeline', () => {
  test('puts together what one person says within five minutes', () => {
    const items = [
      said({ seq: 1, by: 'bob', minutes: 0 }),
      said({ seq: 2, by: 'bob', minutes: 4 }),
      said({ seq: 3, by: 'bob', minutes: 9 }),
      said({ seq: 4, by: 'alice', minutes: 9 }),
      { ...waiting },
    ]
    expect(draw(buildRows(items, null))).toEqual([
      'day',
      'first entry-1',
      'entry-2',
      'first entry-3',
      'first entry-4',
      'entry-9',
    ])
  })

  test('begins anew with each day', () => {
    const items = [said({ seq: 1, by: 'bob', minutes: 12 * 60 - 1 }), said({ seq: 2, by: 'bob', minutes: 12 * 60 + 1 })]
    expect(draw(buildRows(items, null))).toEqual(['day', 'first entry-1', 'day', 'first entry-2'])
  })

  test('draws the unread line once, above the first message of others that counts', () => {
    const items = [
      said({ seq: 1, by: 'bob', minutes: 0 }),
      said({ seq: 2, by: 'alice', minutes: 1 }),
      said({ seq: 3, by: 'bob', minutes: 1, kind: 'membership' }),
      said({ seq: 4, by: 'bob', minutes: 1 }),
      said({ seq: 5, by: 'bob', minutes: 2 }),
    ]
    expect(draw(buildRows(items, 1))).toEqual([
      'day',
      'first entry-1',
      'first entry-2',
      'note',
      'unread',
      'first entry-4',
      'entry-5',
    ])
    expect(draw(buildRows(items, 5))).not.toContain('unread')
    expect(draw(buildRows(items, null))).not.toContain('unread')
  })

  test('gives every row a key of its own', () => {
    const items = [1, 2, 3].map((seq) => said({ seq, by: 'bob', minutes: seq * 24 * 60 }))
    const keys = buildRows(items, 1).map(({ key }) => key)
    expect(new Set(keys).size).toBe(keys.length)
  })
})
