import type { KeyObject } from 'node:crypto'
import type { DeviceId, Role, SessionId, TenantId, UserId } from '@sotto/protocol'
import { purposeOfRole, type Ctx, type Origin } from '../../platform/context/context.ts'
import type { Secret } from '../../platform/phi/phi.ts'
import type { Instant } from '../../platform/time/clock.ts'

/** What an access token says. The role is for the record of the act; permission is decided by the database's. */
export interface Claims {
  readonly tenantId: TenantId
  readonly userId: UserId
  readonly deviceId: DeviceId
  readonly sessionId: SessionId
  readonly role: Role
  readonly expiresAt: Instant
}

/** Whom a verified token speaks for, asking from there. */
export function contextOf(claims: Omit<Claims, 'expiresAt'>, origin: Origin): Ctx {
  const { tenantId, userId, deviceId, sessionId, role } = claims
  const { requestId, address } = origin
  return { tenantId, userId, deviceId, sessionId, role, purpose: purposeOfRole[role], requestId, address }
}

/** The deployment's keys for access tokens: one signs, all verify. */
export interface SigningKeys {
  getSigningKey(): Promise<{ readonly keyId: string; readonly privateKey: KeyObject }>
  /** @returns undefined when there is no such key, or it was retired */
  findVerifyingKey(keyId: string): Promise<KeyObject | undefined>
}

export interface AccessTokens {
  /** @param claims.expiresAt  at most 300 seconds ahead; it is cut to whole seconds */
  issue(claims: Claims): Promise<Secret<string>>
  /** @throws identity/unauthenticated 401 · identity/token-expired 401 */
  verify(token: string): Promise<Claims>
}
