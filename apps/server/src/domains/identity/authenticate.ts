import type { Secret } from '../../platform/phi/phi.ts'
import type { Claims } from './claims.model.ts'
import type { IdentityDeps } from './identity.deps.ts'

/**
 * Whom an access token speaks for. That its session still lives is decided where something is done, in the transaction of
 * the act: a token alone opens nothing.
 *
 * @throws identity/unauthenticated 401 · identity/token-expired 401
 * @control 45 CFR 164.312(d)
 */
export async function authenticate(
  deps: Pick<IdentityDeps, 'accessTokens'>,
  accessToken: Secret<string>,
): Promise<Claims> {
  return deps.accessTokens.verify(accessToken.reveal())
}
