import type { Duplex } from 'node:stream'
import { renderProblem, type Problem } from '../../platform/problem/problem.ts'
import { securityHeaders } from './security-headers.ts'

/** For so long a peer may read its answer before the connection is cut. */
const LINGER_MS = 1_000

/**
 * Answers a connection that no HTTP parser answers for (a broken request, an upgrade) with the problem, and ends it: nobody
 * knows where the next request would begin (RFC 9112 §11.2). Node keeps our half of such a connection for as long as the
 * peer keeps its own, so it is cut when the peer has ended too, or has had time to read (RFC 9112 §9.6), whichever is first.
 */
export function answerRaw(transport: Duplex, refusal: Problem, requestId: string): void {
  transport.on('error', () => transport.destroy())
  if (!transport.writable) return void transport.destroy()
  const timer = setTimeout(() => transport.destroy(), LINGER_MS).unref()
  transport.on('close', () => clearTimeout(timer))
  transport.end(renderAnswer(refusal, requestId))
  // What still comes is not looked at; unread it would hide the peer's end.
  transport.resume()
}

function renderAnswer(refusal: Problem, requestId: string): string {
  const body = JSON.stringify(renderProblem(refusal, requestId))
  const headers = {
    connection: 'close',
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    ...(refusal.retryAfterMs === undefined ? {} : { 'retry-after': Math.ceil(refusal.retryAfterMs / 1_000) }),
    ...securityHeaders,
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${refusal.spec.status} Refused\r\n${lines.join('')}\r\n${body}`
}
