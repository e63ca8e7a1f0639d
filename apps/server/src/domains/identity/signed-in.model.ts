import type { SignedIn } from '@sotto/protocol'
import type { Secret } from '../../platform/phi/phi.ts'

/** What a sign-in gives. The edge decides whether the secrets travel in the body or in cookies. */
export interface SignedInResult extends Omit<SignedIn, 'accessToken' | 'refreshToken' | 'deviceSecret'> {
  readonly accessToken: Secret<string>
  readonly refreshToken: Secret<string>
  /** null when the device was known and keeps its secret */
  readonly deviceSecret: Secret<string> | null
}
