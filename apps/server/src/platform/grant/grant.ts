import assert from 'node:assert/strict'
import type { AuditAction, UserId } from '@sotto/protocol'
import { problem } from '../problem/problem.ts'
import type { Instant } from '../time/clock.ts'

/** What may be permitted is what is recorded: one vocabulary, noun.verb. */
export type Action = AuditAction

declare const grantBrand: unique symbol

/**
 * Proof that a principal may do one action on one resource. Only the access room mints it; stores and the appender
 * demand it, so what you may not do does not compile. It is decided before the act and may be kept until `expiresAt`;
 * membership and revocation are checked again where the act is made durable.
 */
export interface Grant<A extends Action, Resource extends string> {
  readonly [grantBrand]: A
  readonly action: A
  readonly resourceId: Resource
  readonly userId: UserId
  readonly policyVersion: number
  readonly expiresAt: Instant
}

/** Permission to list: the predicate that the policy allows, to be applied in SQL. */
export interface ListGrant<A extends Action> {
  readonly [grantBrand]: A
  readonly action: A
  readonly userId: UserId
  readonly policyVersion: number
  readonly expiresAt: Instant
  /** `all` of the tenant, or only these users. */
  readonly users: 'all' | readonly UserId[]
}

/**
 * Where a grant is used later than it was given: it is the actor's own, and still counts.
 *
 * @throws platform/unavailable 503: it has expired on the way, so the act is to be tried, and decided, again
 */
export function checkGrant(grant: Grant<Action, string>, ctx: { readonly userId: UserId }, now: Instant): void {
  assert(grant.userId === ctx.userId, 'A grant is used by whom it was given to')
  if (now >= grant.expiresAt) throw problem('platform/unavailable', { trueReason: 'grant-expired' })
}
