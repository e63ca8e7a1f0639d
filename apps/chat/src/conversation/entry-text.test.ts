import type { Entry } from '@sotto/sdk'
import { describe, expect, test } from 'vitest'
import { createTranslator } from '../i18n/translator.ts'
import { contentOf, previewOf } from './entry-text.ts'

const { t } = createTranslator('en')
const nameOf = (userId: string): string => ({ alice: 'Alice', bob: 'Bob' })[userId] ?? 'Someone'
const show = (payload: unknown) => contentOf(t, entryOf(payload), nameOf)

function entryOf(payload: unknown): Entry {
  return { payload, sender: { userId: 'alice', deviceId: 'tablet' } } as unknown as Entry
}

describe('an entry', () => {
  test('shows its text', () => {
    expect(show({ v: 1, type: 'text', text: '<b>82.4</b> kg' })).toEqual({ type: 'text', text: '<b>82.4</b> kg' })
  })

  test('of an unknown type or version says that it needs a newer version', () => {
    const payloads = [
      { v: 1, type: 'hologram' },
      { v: 2, type: 'text', text: 'Hello' },
      { v: 1, type: 'text', text: { rich: true } },
      { v: 1, type: 'membership', change: 'merged', userIds: [] },
      { v: 1, type: 'membership', change: 'added' },
      { v: 1, type: 'conversation', change: 'split' },
      {},
      null,
    ]
    for (const payload of payloads) expect(show(payload)).toEqual({ type: 'newer' })
  })

  test('without anything to see says so', () => {
    for (const text of [' ', '\u200b', '\u200d\u2060\ufeff', '\u0301\u0301', '\u202e\u2066'])
      expect(show({ v: 1, type: 'text', text })).toEqual({ type: 'invisible' })
    for (const text of ['👩🏽‍⚕️', '?', '٣', 'ل']) expect(show({ v: 1, type: 'text', text }).type).toBe('text')
  })

  test('about the conversation names who did what to whom', () => {
    const content = show({ v: 1, type: 'membership', change: 'added', userIds: ['bob'] })
    expect(content).toMatchObject({ type: 'system', text: expect.stringMatching(/Alice.* added .*Bob/) as string })
    expect(show({ v: 1, type: 'erased' })).toEqual({ type: 'erased' })
  })

  test('is one short line in the list', () => {
    const line = previewOf(t, entryOf({ v: 1, type: 'text', text: 'x'.repeat(5_000) }), nameOf, 'Alice')
    expect(line.length).toBeLessThan(250)
    expect(previewOf(t, entryOf({ v: 1, type: 'hologram' }), nameOf, null)).toContain('newer version')
  })
})
