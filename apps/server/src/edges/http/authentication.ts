import { purposeSchema, type Purpose } from '@sotto/protocol'
import { problem } from '../../platform/problem/problem.ts'

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
