import { limitDefaults } from '@sotto/protocol'
import { describe, expect, test } from 'vitest'
import { normalizePassword, weakPassword, whyWeak } from './password.model.ts'

const context = ['northside', 'alice.andrews@northside.example', 'alice', 'andrews', 'Alice', 'Andrews']
const judge = (password: string) => whyWeak(normalizePassword(password), context, limitDefaults)

describe('is good', () => {
  test.each([
    'seven umbrellas wait behind the lighthouse',
    'my cat eats 40 mice',
    'blau wie der Himmel über Husum',
    'パスワードではない長い文です、本当に',
    'Alice rowed to the island at dawn',
    'xK9$mQ2vLp7#wR4t',
    'q'.repeat(10) + ' then five more letters',
    'x'.repeat(200) + 'abcdefg, and so on to the end of it all, my friends',
  ])('%s', (password) => {
    expect(judge(password)).toBeUndefined()
  })
})

describe('is refused', () => {
  test.each([
    ['fourteen chars', 'shorter'],
    ['😀'.repeat(14), 'shorter'],
    ['x1y2z3'.repeat(50), 'longer'],
    ['correct horse battery staple', 'common'],
    ['C0rrect-H0rse-B@ttery-St@ple', 'common'],
    ['the quick brown fox jumps', 'common'],
    ['aaaaaaaaaaaaaaaaaaaa', 'few'],
    ['ababababababababab', 'few'],
    ['wintry-wintry-wintry', 'repeated'],
    ['abcdefghijklmnopqrs', 'neighbouring'],
    ['srqponmlkjihgfedcba', 'neighbouring'],
    ['qwertyuiopasdfghj', 'neighbouring'],
    ['12345678901234567', 'common words'],
    ['password12345678', 'common words'],
    ['P@ssw0rd-P@ssw0rd-2026', 'common words'],
    ['Summer2026 Winter2027', 'common words'],
    ['northside northside 1', 'common words'],
    ['Alice Andrews Northside', 'common words'],
    ['sotto voce hospital 1', 'common words'],
    ['welcome-to-sotto-2026', 'common words'],
  ])('%s: %s', (password, reason) => {
    expect(judge(password)).toContain(reason)
  })
})

test('the same characters typed on another keyboard are the same password', () => {
  expect(normalizePassword('Ångström caf\u0065\u0301 ﬁlm')).toBe(normalizePassword('A\u030angström café film'))
})

test('the refusal names the field and the reason, never the password', () => {
  const refusal = weakPassword('Summer2026 Winter2027', context, limitDefaults, '/newPassword')!
  expect(refusal.code).toBe('identity/password-weak')
  expect(refusal.errors![0]!.pointer).toBe('/newPassword')
  expect(JSON.stringify(refusal.errors)).not.toMatch(/summer|2026/i)
})

test('judging the longest password takes no time to speak of', () => {
  const hostile = ['1'.repeat(256), 'ab'.repeat(128), 'a1'.repeat(127) + 'b!', 'password'.repeat(32)]
  const before = process.cpuUsage()
  for (const password of hostile) judge(password)
  expect(process.cpuUsage(before).user).toBeLessThan(200_000)
})
