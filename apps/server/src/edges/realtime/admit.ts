import type { IncomingMessage } from 'node:http'
import { SOCKET_PATH, SOCKET_PROTOCOL, SOCKET_TICKET_PREFIX } from '@sotto/protocol'
import type { Ctx, Origin } from '../../platform/context/context.ts'
import { addressGroup } from '../../platform/limits/address-group.ts'
import type { TokenBuckets } from '../../platform/limits/token-bucket.ts'
import { problem } from '../../platform/problem/problem.ts'
import { isOriginAllowed } from '../gate/origins.ts'

export interface AdmitDeps {
  readonly allowedOrigins: readonly string[]
  /** Of a network, while there is no user: the same as over HTTP. */
  readonly userRates: TokenBuckets
  /** @throws identity/ticket-invalid */
  redeemSocketTicket(ticket: string, origin: Origin): Promise<Ctx>
  isDraining(): boolean
}

/**
 * Says whose socket it will be. Every attempt takes from the rate of its network before it costs a transaction; one that
 * is let in gives it back, so that a clinic behind one address may come back all at once.
 *
 * @throws platform/draining 503 · platform/rate-limited 429 · platform/not-found 404 · platform/origin-refused 403 ·
 *         identity/ticket-invalid 401
 */
export async function admit(deps: AdmitDeps, request: IncomingMessage, origin: Origin): Promise<Ctx> {
  if (deps.isDraining()) throw problem('platform/draining')
  const network = addressGroup(origin.address)
  const waitMs = deps.userRates.take(network)
  if (waitMs > 0) throw problem('platform/rate-limited', { retryAfterMs: waitMs })
  if (pathOf(request) !== SOCKET_PATH) throw problem('platform/not-found')
  if (!isOriginAllowed(request.headers.origin, request.headers.host, deps.allowedOrigins))
    throw problem('platform/origin-refused')
  const ctx = await deps.redeemSocketTicket(readTicket(request), origin)
  deps.userRates.giveBack(network)
  return ctx
}

function readTicket(request: IncomingMessage): string {
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((one) => one.trim())
  const ticket = offered.find((one) => one.startsWith(SOCKET_TICKET_PREFIX))?.slice(SOCKET_TICKET_PREFIX.length)
  if (!offered.includes(SOCKET_PROTOCOL) || ticket === undefined)
    throw problem('identity/ticket-invalid', { trueReason: 'no-ticket' })
  return ticket
}

function pathOf(request: IncomingMessage): string | undefined {
  return request.url?.split('?', 1)[0]
}

/** The peer, or the address that the one trusted proxy saw. */
export function addressOf(request: IncomingMessage, trustProxy: boolean): string | null {
  const forwarded = trustProxy
    ? String(request.headers['x-forwarded-for'] ?? '')
        .split(',')
        .at(-1)
        ?.trim()
    : undefined
  return forwarded || (request.socket.remoteAddress ?? null)
}
