import { problem } from '../../platform/problem/problem.ts'

/**
 * Parses JSON that a stranger wrote: bounded in depth before it is built, and without the keys that JavaScript objects
 * give a meaning to. Size is bounded by the transport.
 *
 * @throws platform/malformed 400
 */
export function parseJson(text: string, depthMax: number): unknown {
  if (isDeeperThan(text, depthMax)) throw problem('platform/malformed', { trueReason: 'too-deep' })
  try {
    return JSON.parse(text, refuseDangerousKeys)
  } catch (error) {
    throw problem('platform/malformed', { cause: error })
  }
}

function refuseDangerousKeys(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new SyntaxError('A key that is not data')
  return value
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPENING = new Set([0x5b, 0x7b])
const CLOSING = new Set([0x5d, 0x7d])

/** Counts brackets outside of strings, in one pass and without recursion. */
function isDeeperThan(text: string, depthMax: number): boolean {
  let depth = 0
  let isInString = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (isInString) {
      if (code === BACKSLASH) index++
      else if (code === QUOTE) isInString = false
    } else if (code === QUOTE) isInString = true
    else if (OPENING.has(code)) {
      if (++depth > depthMax) return true
    } else if (CLOSING.has(code)) depth--
  }
  return false
}
