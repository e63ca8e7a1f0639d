import type { CloseCode } from '@sotto/protocol'
import { problem, type Problem } from '../../platform/problem/problem.ts'

/**
 * With which code `ws` closes a socket whose peer breaks the protocol (RFC 6455 §7.4.1). It keeps the code to itself, so it
 * is known by the code of the error; whatever else is wrong with a frame is 1002.
 *
 * @returns undefined for errors of the line
 */
export function closeCodeOf(error: Error): CloseCode | undefined {
  const { code } = error as { readonly code?: unknown }
  if (typeof code !== 'string' || !code.startsWith('WS_ERR_')) return undefined
  return codes[code] ?? 1002
}

const codes: Readonly<Record<string, CloseCode>> = {
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: 1009,
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 1009,
  WS_ERR_INVALID_UTF8: 1007,
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 1008,
}

/** The same for the trail; the peer is told by the code alone. */
export function refusalOf(code: CloseCode): Problem {
  if (code === 1009) return problem('platform/too-large', { trueReason: 'frame-too-large' })
  if (code === 1007) return problem('platform/malformed', { trueReason: 'frame-not-utf8' })
  return problem('platform/malformed', { trueReason: 'frame-against-protocol' })
}
