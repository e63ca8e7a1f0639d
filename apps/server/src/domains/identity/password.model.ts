import type { Limits } from '@sotto/protocol'
import { problem, type Problem } from '../../platform/problem/problem.ts'
import { commonPasswords, commonWords } from './common-passwords.model.ts'
import { coreOf } from './password-core.model.ts'

/**
 * What may be a password (NIST SP 800-63B-4 §3.1.1.2): long, and not what everybody would try. No composition rules, no
 * expiry, no hints. Length is counted in code points after NFKC, so that every keyboard gives the same password.
 */
export type PasswordLimits = Pick<Limits, 'passwordCharactersMin' | 'passwordCharactersMax'>

/** One form for all ways to type the same characters (NIST SP 800-63B-4 §3.1.1.2, "normalization"). */
export function normalizePassword(password: string): string {
  return password.normalize('NFKC')
}

/**
 * @param contextWords  what an attacker knows of this user and this place: sign-in name, display name, tenant, product
 * @param pointer  which field of the input it is
 * @returns the problem to throw, with the reason for the person who chooses; undefined when the password is good
 */
export function weakPassword(
  password: string,
  contextWords: readonly string[],
  limits: PasswordLimits,
  pointer = '/password',
): Problem<'identity/password-weak'> | undefined {
  const reason = whyWeak(normalizePassword(password), contextWords, limits)
  if (reason === undefined) return undefined
  return problem('identity/password-weak', { errors: [{ pointer, message: reason }] })
}

/** @returns what is wrong with it, for the person who chooses; undefined when nothing is */
export function whyWeak(password: string, contextWords: readonly string[], limits: PasswordLimits): string | undefined {
  const characters = [...password].length
  if (characters < limits.passwordCharactersMin) return `shorter than ${limits.passwordCharactersMin} characters`
  if (characters > limits.passwordCharactersMax) return `longer than ${limits.passwordCharactersMax} characters`
  const core = coreOf(password)
  if (commonPasswords.has(core)) return 'too common: others would try it'
  if (new Set(password.toLowerCase()).size < DISTINCT_MIN) return 'too few different characters'
  if (isRepetition(core)) return 'one piece, repeated'
  if (isRun(core)) return 'a row of neighbouring characters'
  if (restWithout(core, [...commonWords, ...contextWords.map(coreOf)]).length < REST_MIN) {
    return 'made of common words, or of your own or this place’s name'
  }
  return undefined
}

const DISTINCT_MIN = 5
/** What must be left when everything is taken out that an attacker would put in. */
const REST_MIN = 6
const WORD_MIN = 3

function isRepetition(core: string): boolean {
  return /^(.{1,8}?)\1+$/u.test(core)
}

const rows = [
  'abcdefghijklmnopqrstuvwxyz',
  'qwertyuiopasdfghjklzxcvbnm',
  'qwertzuiopasdfghjklyxcvbnm',
  'oi2eassate89oi2eas',
].map(coreOf)

/** `abcdefghijklmno`, `123456789012345`, and the same backwards. */
function isRun(core: string): boolean {
  const backwards = [...core].toReversed().join('')
  return rows.some((row) => {
    const endless = row.repeat(Math.ceil(core.length / row.length) + 1)
    return endless.includes(core) || endless.includes(backwards)
  })
}

function restWithout(core: string, words: readonly string[]): string {
  const known = words.filter((word) => word.length >= WORD_MIN).toSorted((a, b) => b.length - a.length)
  let rest = core
  for (const word of known) rest = rest.replaceAll(word, '')
  return rest
}
