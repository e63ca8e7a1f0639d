import type { KeyObject } from 'node:crypto'
import type { SessionId, TenantId, UserId } from '@sotto/protocol'
import {
  authenticate,
  contextOf,
  createAccessTokens,
  createActivity,
  createPasswordHasher,
  createSigningKeys,
  createTenant,
  findLiveSessions,
  findPatientIds,
  findSessionEnds,
  findTenantBySlug,
  findUserNames,
  getSessionFacts,
  identityRoutes,
  purgeExpiredIdentity,
  redeemSocketTicket,
  renewAdministratorLink,
  touchSession,
  type Argon2Parameters,
  type CreateTenantInput,
  type IdentityDeps,
  type RenewLinkInput,
} from '../domains/identity/index.ts'
import type { Ctx, Origin } from '../platform/context/context.ts'
import type { Tx } from '../platform/db/tx.ts'
import { Secret } from '../platform/phi/phi.ts'
import type { Instant } from '../platform/time/clock.ts'

export interface IdentityParts extends Omit<IdentityDeps, 'passwords' | 'accessTokens' | 'activity'> {
  /** Purposes of the keyring. */
  readonly signingSealKey: KeyObject
  readonly pepper: KeyObject
  readonly deploymentId: string
  /** Cheaper ones are for tests only. */
  readonly argon2?: Argon2Parameters
}

/** Binds the identity room to its dependencies, in the forms in which rooms and edges ask. */
export function composeIdentity({ signingSealKey, pepper, deploymentId, argon2, ...parts }: IdentityParts) {
  const { db, clock, ids, sealer, audit, random, limits } = parts
  const signingKeys = createSigningKeys({ db, clock, ids, sealer, audit, sealingKey: signingSealKey })
  const deps: IdentityDeps = {
    ...parts,
    passwords: createPasswordHasher({ random, pepper, ...(argon2 ? { parameters: argon2 } : {}) }),
    accessTokens: createAccessTokens({
      issuer: `urn:sotto:${deploymentId}`,
      clock,
      signingKeys,
      accessTokenSeconds: limits.accessTokenSeconds,
    }),
    activity: createActivity(),
  }
  return {
    routes: identityRoutes(deps),
    authenticate: async (accessToken: string, origin: Origin): Promise<Ctx> =>
      contextOf(await authenticate(deps, new Secret(accessToken)), origin),
    redeemSocketTicket: (ticket: Secret<string>, origin: Origin) => redeemSocketTicket(deps, ticket, origin),
    touchSession: (ctx: Ctx) => touchSession(deps, ctx),
    getSessionFacts: (tx: Tx, ctx: Ctx) => getSessionFacts(deps, tx, ctx),
    findLiveSessions: (tx: Tx, tenantId: TenantId, sessionIds: readonly SessionId[], now: Instant) =>
      findLiveSessions(deps, tx, tenantId, sessionIds, now),
    findSessionEnds: (tx: Tx, tenantId: TenantId, sessionIds: readonly SessionId[]) =>
      findSessionEnds(deps, tx, tenantId, sessionIds),
    findUserNames: (tx: Tx, tenantId: TenantId, userIds: readonly UserId[]) =>
      findUserNames(deps, tx, tenantId, userIds),
    findPatientIds,
    createTenant: (origin: Origin, input: CreateTenantInput) => createTenant(deps, origin, input),
    renewAdministratorLink: (origin: Origin, input: RenewLinkInput) => renewAdministratorLink(deps, origin, input),
    findTenantId: async (slug: string): Promise<TenantId | undefined> =>
      (await db.withTx({ role: 'lookup' }, (tx) => findTenantBySlug(tx, slug)))?.tenant_id,
    purgeExpired: async () => void (await purgeExpiredIdentity(db)),
  }
}
