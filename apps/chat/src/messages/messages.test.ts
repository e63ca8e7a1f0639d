import { describe, expect, test } from 'vitest'
import { en } from './en.ts'
import { es } from './es.ts'
import type { Message } from './message-types.ts'

const keys = Object.keys(en) as (keyof typeof en)[]
const formsOf = (message: Message): readonly string[] =>
  typeof message === 'string' ? [message] : Object.values(message as unknown as Record<string, string>)
const namesOf = (message: Message): readonly string[] =>
  [...new Set(formsOf(message).flatMap((text) => text.match(/\{\w+\}/g) ?? []))].toSorted()

/** Staff read these; everything else may be in front of a patient. */
const STAFF = /^(audit|purpose|new)\./

describe('every language', () => {
  test('says everything with the same names in it', () => {
    for (const key of keys) expect([key, namesOf(es[key])]).toEqual([key, namesOf(en[key])])
  })

  test('leaves no text empty, and no two spaces', () => {
    for (const catalogue of [en, es])
      for (const key of keys)
        for (const text of formsOf(catalogue[key]))
          expect([key, text]).toEqual([key, text.trim().replaceAll('  ', ' ')])
  })

  test('was translated: a sentence is not the same in both', () => {
    const same = keys.filter((key) => formsOf(en[key])[0] === formsOf(es[key])[0])
    expect(same.filter((key) => formsOf(en[key])[0]!.split(' ').length > 2)).toEqual([])
  })
})

test('what patients read is at a reading grade of 8 or below', () => {
  const hard = keys
    .filter((key) => !STAFF.test(key))
    .flatMap((key) => formsOf(en[key]))
    .filter((text) => text.split(' ').length >= 6)
    .map((text) => ({ text, grade: gradeOf(text) }))
    .filter(({ grade }) => grade > 8)
  expect(hard).toEqual([])
})

/** Flesch–Kincaid grade level: 0.39 words per sentence + 11.8 syllables per word − 15.59. */
function gradeOf(text: string): number {
  const words = text.replaceAll(/\{\w+\}/g, 'one').match(/[\p{L}\d]+/gu) ?? []
  const sentences = Math.max(1, (text.match(/[.!?:](\s|$)/g) ?? []).length)
  const syllables = words.reduce((sum, word) => sum + syllablesOf(word.toLowerCase()), 0)
  return (0.39 * words.length) / sentences + (11.8 * syllables) / words.length - 15.59
}

function syllablesOf(word: string): number {
  const spoken = word.replace(/(?:[^laeiouy]es|ed|[^laeiouy]e)$/, '')
  return Math.max(1, (spoken.match(/[aeiouy]{1,2}/g) ?? []).length)
}
