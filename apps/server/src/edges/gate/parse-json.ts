import { problem } from '../../platform/problem/problem.ts'

/**
 * Parses JSON that a stranger wrote: bounded in depth before it is built, every name once, and without the names that
 * JavaScript objects give a meaning to. Size is bounded by the transport.
 *
 * @throws platform/malformed 400
 */
export function parseJson(text: string, depthMax: number): unknown {
  const members = countMembers(text, depthMax)
  if (members === undefined) throw problem('platform/malformed', { trueReason: 'too-deep' })
  const value = build(text)
  // RFC 8259 §4: of two equal names readers disagree about which one counts (OWASP ASVS 1.5.3), so none is taken.
  if (countOwn(value) !== members) throw problem('platform/malformed', { trueReason: 'repeated-name' })
  return value
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The same for bytes: RFC 8259 §8.1 wants UTF-8, without a byte order mark. @throws platform/malformed 400 */
export function parseJsonBytes(bytes: Uint8Array, depthMax: number): unknown {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch (error) {
    throw problem('platform/malformed', { trueReason: 'not-utf-8', cause: error })
  }
  return parseJson(text, depthMax)
}

function build(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw problem('platform/malformed', { trueReason: 'not-json', cause: error })
  }
}

/** How many members the objects of a value have in all; its depth is bounded by now. */
function countOwn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  if (Array.isArray(value)) return value.reduce((count: number, item) => count + countOwn(item), 0)
  if (Object.hasOwn(value, '__proto__')) throw problem('platform/malformed', { trueReason: 'a-name-that-is-not-data' })
  const members = Object.values(value)
  return members.reduce((count: number, member) => count + countOwn(member), members.length)
}

const QUOTE = 0x22
const COLON = 0x3a
const BACKSLASH = 0x5c
const OPENING = new Set([0x5b, 0x7b])
const CLOSING = new Set([0x5d, 0x7d])

/**
 * Counts brackets and colons outside of strings, in one pass and without recursion: in JSON each member has one colon.
 * @returns undefined when it is too deep
 */
function countMembers(text: string, depthMax: number): number | undefined {
  let depth = 0
  let members = 0
  let isInString = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (isInString) {
      if (code === BACKSLASH) index++
      else if (code === QUOTE) isInString = false
    } else if (code === QUOTE) isInString = true
    else if (code === COLON) members++
    else if (OPENING.has(code)) {
      if (++depth > depthMax) return undefined
    } else if (CLOSING.has(code)) depth--
  }
  return members
}
