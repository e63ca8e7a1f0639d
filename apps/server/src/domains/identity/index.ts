/** The door of the identity room. */
export { createAccessTokens } from './access-tokens.ts'
export { createActivity, type Activity } from './activity.ts'
export { authenticate } from './authenticate.ts'
export { contextOf, type AccessTokens, type Claims, type SigningKeys } from './claims.model.ts'
export { createTenant, type CreatedTenant, type CreateTenantInput } from './create-tenant.ts'
export {
  findActiveUsers,
  findLiveSessions,
  findUserNames,
  getSessionFacts,
  type UserName,
} from './get-session-facts.ts'
export type { IdentityDeps, IdentityKeys } from './identity.deps.ts'
export { sessionEnded } from './identity.events.ts'
export { identityRoutes } from './identity.routes.ts'
export { createPasswordHasher, type Argon2Parameters, type PasswordHasher } from './password-hasher.ts'
export { purgeExpiredIdentity } from './purge-expired-identity.ts'
export { redeemSocketTicket } from './redeem-socket-ticket.ts'
export { createSigningKeys, type RotatableSigningKeys } from './signing-keys.ts'
export type { EndReason } from './session.model.ts'
export type { SignedInResult } from './signed-in.model.ts'
export { touchSession } from './touch-session.ts'
export { findTenantBySlug } from './tenant-store.ts'
export { addressGroup } from './throttle.model.ts'
