import { describe, expect, test } from 'vitest'
import { createTranslator, daysBetween } from './translator.ts'

const english = createTranslator('en')
const spanish = createTranslator('es')

describe('a message', () => {
  test('takes the form that the number needs', () => {
    expect(english.t('list.unread', { count: 1 })).toBe('1 unread message')
    expect(english.t('list.unread', { count: 1_234 })).toBe('1,234 unread messages')
    expect(spanish.t('list.unread', { count: 1 })).toBe('1 mensaje sin leer')
  })

  test('keeps the direction of a name to the name', () => {
    expect(english.t('typing.one', { name: 'ליאת' })).toBe('\u2068ליאת\u2069 is writing…')
  })

  test('never reads braces in a name as another name', () => {
    expect(english.t('system.added', { who: '{whom}', whom: 'Bob' })).toBe('\u2068{whom}\u2069 added \u2068Bob\u2069')
  })
})

describe('a day', () => {
  const noon = new Date(2026, 2, 8, 12).getTime()

  test('is today until midnight, and yesterday after it', () => {
    expect(english.formatDay(new Date(2026, 2, 8, 0, 1).toISOString(), noon)).toBe('Today')
    expect(english.formatDay(new Date(2026, 2, 7, 23, 59).toISOString(), noon)).toBe('Yesterday')
    expect(english.formatDay(new Date(2026, 2, 6, 23, 59).toISOString(), noon)).toBe('Friday, March 6')
    expect(spanish.formatDay(new Date(2026, 2, 6, 23, 59).toISOString(), noon)).toBe('Viernes, 6 de marzo')
  })

  test('says the year when it was long ago', () => {
    expect(english.formatDay(new Date(2024, 2, 6).toISOString(), noon)).toBe('Mar 6, 2024')
  })

  test('has one midnight, however many hours it has', () => {
    for (let day = 1; day <= 366; day += 1)
      expect(daysBetween(new Date(2026, 0, day, 23), new Date(2026, 0, day + 1, 0, 30))).toBe(1)
  })
})
