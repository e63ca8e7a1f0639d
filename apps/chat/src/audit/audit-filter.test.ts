import { expect, test } from 'vitest'
import { anyEvent, toQuery } from './audit-filter.ts'

test('an empty form asks for everything', () => {
  expect(toQuery(anyEvent, undefined)).toEqual({})
})

test('a page goes on where the one before has ended', () => {
  expect(toQuery({ ...anyEvent, action: 'message.send' }, 'key')).toEqual({ action: 'message.send', after: 'key' })
})

test('days are whole days of the device, the last one included', () => {
  const { from, to } = toQuery({ ...anyEvent, fromOn: '2026-03-08', toOn: '2026-03-08' }, undefined)
  expect(from).toBe(new Date(2026, 2, 8).toISOString())
  expect(to).toBe(new Date(2026, 2, 9).toISOString())
})
