import type { Socket } from 'node:net'
import { anonymous } from '../../platform/context/context.ts'
import type { Ids } from '../../platform/ids/ids.ts'
import { problem, type Problem } from '../../platform/problem/problem.ts'
import { answerRaw } from '../gate/answer-raw.ts'
import type { Gate } from '../gate/gate.ts'

/**
 * What is not HTTP, is too much of it, or does not come to its end, is recorded and answered as HTTP allows (RFC 9112 §9.2,
 * §11.2); the connection ends, for nobody knows where the next request would begin.
 */
export async function refuseBrokenRequest(
  deps: { readonly gate: Gate; readonly ids: Ids },
  error: Error & { readonly code?: string },
  socket: Socket,
): Promise<void> {
  // An answer is under way on this connection already, or there is nobody to answer.
  const underWay = Reflect.get(socket, '_httpMessage') as { readonly headersSent: boolean } | null | undefined
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable || underWay?.headersSent)
    return void socket.destroy()
  socket.on('error', () => socket.destroy())
  const requestId = deps.ids.next<string>()
  const ctx = anonymous({ requestId, address: socket.remoteAddress ?? null })
  const act = { action: 'request.refuse' as const, activity: false, operation: 'unknown' }
  const refusal = await deps.gate.refuse(ctx, act, problemOf(error.code))
  answerRaw(socket, refusal, requestId)
}

function problemOf(code: string | undefined): Problem {
  if (code === 'HPE_HEADER_OVERFLOW') return problem('platform/too-large', { trueReason: 'headers-too-large' })
  const trueReason = code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'request-too-slow' : 'not-http'
  return problem('platform/malformed', { trueReason })
}
