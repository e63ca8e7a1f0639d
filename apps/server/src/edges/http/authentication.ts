import { purposeSchema, type Operation, type OperationId, type Purpose } from '@sotto/protocol'
import type { FastifyRequest } from 'fastify'
import { anonymous, type Ctx, type Origin } from '../../platform/context/context.ts'
import { hashToken } from '../../platform/crypto/tokens.ts'
import { addressGroup } from '../../platform/limits/address-group.ts'
import type { TokenBuckets } from '../../platform/limits/token-bucket.ts'
import { Secret } from '../../platform/phi/phi.ts'
import { problem } from '../../platform/problem/problem.ts'

export interface RecogniseDeps {
  readonly userRates: TokenBuckets
  readonly addressRates: TokenBuckets
  authenticate(accessToken: string, origin: Origin): Promise<Ctx>
}

/** Where somebody tries a secret that a person has chosen: slower than everything else. One-time links cannot be guessed. */
const attempts: readonly string[] = ['createSession'] satisfies readonly OperationId[]

/**
 * Says whose request it is, and holds it against the caller's rate. A user's rate is the user's, wherever the requests come
 * from; before there is a user it is the network's, so that neither guessing tokens nor being refused is free.
 *
 * @throws identity/unauthenticated 401 · identity/token-expired 401 · platform/rate-limited 429 · platform/invalid-input 400
 */
export async function recogniseCaller(
  deps: RecogniseDeps,
  operation: Operation,
  request: FastifyRequest,
): Promise<void> {
  const origin = originOf(request)
  const network = addressGroup(origin.address)
  if (operation.auth === 'none') {
    request.caller = anonymous(origin)
    // Apart from the others: a flood of sign-ins must not keep those who are signed in from refreshing.
    return take(deps.userRates, isAttempt(operation) ? `sign-in/${network}` : network)
  }
  let caller: Ctx
  try {
    caller = await deps.authenticate(readBearer(request.headers.authorization), origin)
  } catch (error) {
    take(deps.userRates, network)
    throw error
  }
  request.caller = caller
  take(deps.userRates, `${caller.tenantId}/${caller.userId}`)
  request.caller = { ...caller, purpose: readPurpose(request.headers['sotto-purpose'], caller.purpose) }
}

/**
 * Holds an attempt against the slower rate of its network, once its body is there. A device that brings the secret of an
 * earlier sign-in has a rate of its own in place of it: whoever floods from behind the same address must not keep a ward from
 * its workstations. That the secret is the right one is for the room to find, which hashes no password of those whose
 * attempts have to wait; a wrong one gains nothing.
 *
 * @throws platform/rate-limited 429
 */
export function checkAttemptRate(
  deps: Pick<RecogniseDeps, 'addressRates'>,
  operation: Operation,
  { ip, body }: Pick<FastifyRequest, 'ip' | 'body'>,
): void {
  if (!isAttempt(operation)) return
  const device = (body as { readonly device?: { readonly deviceSecret?: unknown } | null } | null | undefined)?.device
  const secret = device?.deviceSecret
  const isKnown = typeof secret === 'string' && secret !== ''
  const key = isKnown ? `device/${hashToken(new Secret(secret)).toString('base64url')}` : addressGroup(ip)
  take(deps.addressRates, key)
}

function isAttempt(operation: Operation): boolean {
  return attempts.includes(operation.operationId)
}

function take(rates: TokenBuckets, key: string): void {
  const waitMs = rates.take(key)
  if (waitMs > 0) throw problem('platform/rate-limited', { retryAfterMs: waitMs })
}

export function originOf(request: FastifyRequest): Origin {
  return { requestId: request.id, address: request.ip }
}

/** RFC 6750 §2.1: the header, and nothing but the header. @throws identity/unauthenticated 401 */
export function readBearer(header: string | undefined): string {
  const match = /^Bearer ([\w.~+/-]{20,4000}=*)$/.exec(header ?? '')
  if (match === null)
    throw problem('identity/unauthenticated', { trueReason: header === undefined ? 'no-token' : 'malformed-token' })
  return match[1]!
}

/** A caller may say for which purpose of use it asks (`sotto-purpose`, HL7 v3 PurposeOfUse). @throws platform/invalid-input 400 */
export function readPurpose(header: string | string[] | undefined, otherwise: Purpose): Purpose {
  if (header === undefined) return otherwise
  const purpose = purposeSchema.safeParse(header)
  if (purpose.success) return purpose.data
  throw problem('platform/invalid-input', {
    errors: [{ pointer: '/headers/sotto-purpose', message: 'not a purpose of use' }],
  })
}
