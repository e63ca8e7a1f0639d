/** The door of the identity room. */
export { createAccessTokens } from './access-tokens.ts'
export { createActivity } from './activity.ts'
export { authenticate } from './authenticate.ts'
export { contextOf } from './claims.model.ts'
export { createTenant, type CreateTenantInput } from './create-tenant.ts'
export {
  findLiveSessions,
  findPatientIds,
  findSessionEnds,
  findUserNames,
  getSessionFacts,
} from './get-session-facts.ts'
export type { IdentityDeps } from './identity.deps.ts'
export { sessionActive, sessionEnded } from './identity.events.ts'
export { identityRoutes } from './identity.routes.ts'
export { createPasswordHasher, type Argon2Parameters } from './password-hasher.ts'
export { purgeExpiredIdentity } from './purge-expired-identity.ts'
export { renewAdministratorLink, type RenewalRefusal, type RenewLinkInput } from './renew-administrator-link.ts'
export { redeemSocketTicket } from './redeem-socket-ticket.ts'
export { createSigningKeys } from './signing-keys.ts'
export { touchSession } from './touch-session.ts'
export type { SessionEnds } from './session.model.ts'
export { findTenantBySlug } from './tenant-store.ts'
