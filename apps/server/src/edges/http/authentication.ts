import { purposeSchema, type Operation, type OperationId, type Purpose } from '@sotto/protocol'
import type { FastifyRequest } from 'fastify'
import { anonymous, type Ctx, type Origin } from '../../platform/context/context.ts'
import { addressGroup } from '../../platform/limits/address-group.ts'
import type { TokenBuckets } from '../../platform/limits/token-bucket.ts'
import { problem } from '../../platform/problem/problem.ts'

export interface RecogniseDeps {
  readonly userRates: TokenBuckets
  readonly addressRates: TokenBuckets
  authenticate(accessToken: string, origin: Origin): Promise<Ctx>
}

/** Where somebody tries a secret that a person could have chosen: slower than everything else. */
const attempts: readonly string[] = ['createSession', 'redeemSignInLink'] satisfies readonly OperationId[]

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
    return take(attempts.includes(operation.operationId) ? deps.addressRates : deps.userRates, network)
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
