import type { InputOf, Operations, TenantId } from '@sotto/protocol'
import { anonymous, scopeOf, type Origin } from '../../platform/context/context.ts'
import { Secret } from '../../platform/phi/phi.ts'
import { problem } from '../../platform/problem/problem.ts'
import { parseBearer } from './bearer.model.ts'
import { setCredential } from './credential-store.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { sessionEnded } from './identity.events.ts'
import { claimLink, expireLinks, findLinkOwner, type LinkOwner } from './link-store.ts'
import { openName, outsideTx } from './open-name.ts'
import { weakPassword } from './password.model.ts'
import { openUserName } from './render-user.ts'
import type { SignedInResult } from './signed-in.model.ts'
import { endSessions } from './session-store.ts'
import {
  ChangedMeanwhile,
  findProvenOwner,
  insertPreparedSession,
  prepareSession,
  recordSignIn,
  refused,
  renderPreparedSession,
  type PreparedSession,
} from './prepare-session.ts'
import { listTeamsOfUsers } from './team-store.ts'
import { findTenant } from './tenant-store.ts'
import { subjectOf } from './user.model.ts'

type RedeemDeps = Pick<
  IdentityDeps,
  'db' | 'clock' | 'random' | 'ids' | 'limits' | 'keys' | 'sealer' | 'passwords' | 'accessTokens' | 'audit' | 'bus'
>
type Input = InputOf<Operations['redeemSignInLink']>

/**
 * Uses a one-time link to set a password and sign in; every other session of the user ends. A password that is refused
 * leaves the link good. Nothing is hashed for a link that is not.
 *
 * @throws identity/link-invalid 404 · identity/password-weak 400 · platform/unavailable 503
 * @effects sign_in_link, password_credential, device, session, refresh_token, audit `sign-in-link.redeem` and
 *          `session.create`, hint `session.ended`
 * @control 45 CFR 164.312(d)
 */
export async function redeemSignInLink(deps: RedeemDeps, origin: Origin, input: Input): Promise<SignedInResult> {
  const refuse = (ctx: ReturnType<typeof anonymous>, trueReason: string) =>
    refused(deps, ctx, { action: 'sign-in-link.redeem' }, problem('identity/link-invalid', { trueReason }))
  const presented = parseBearer(input.token)
  if (presented === undefined) throw await refuse(anonymous(origin), 'not-a-link')
  const { tenantId, hash } = presented
  const { tenant, owner, deviceOwner } = await deps.db.withTx(scopeOf({ tenantId }), async (tx) => {
    const [tenant, owner, deviceOwner] = await Promise.all([
      findTenant(tx, tenantId),
      findLinkOwner(tx, tenantId, hash, deps.clock.now()),
      findProvenOwner(tx, tenantId, input.device),
    ])
    return { tenant, owner, deviceOwner }
  })
  const ctx = anonymous(origin, tenant === undefined ? undefined : tenantId)
  if (tenant === undefined || owner === undefined) throw await refuse(ctx, 'link-unknown-used-or-expired')

  const weak = weakPassword(input.password, await contextWords(deps, tenantId, tenant.slug, owner), deps.limits)
  const resource = { type: 'user', id: owner.user_id }
  if (weak !== undefined) throw await refused(deps, ctx, { action: 'sign-in-link.redeem', resource }, weak)

  const provenDeviceId = deviceOwner === owner.user_id ? input.device.deviceId : undefined
  const hashEncoded = await deps.passwords.hash(new Secret(input.password))
  const prepared = await prepareSession(deps, origin, tenantId, owner, { name: input.device.name, provenDeviceId })
  const stored = await store(deps, prepared, hash, hashEncoded)
  if (stored === undefined) throw await refuse(ctx, 'link-used-meanwhile')
  const { teams, sessionIds } = stored
  if (sessionIds.length > 0) deps.bus.publish(sessionEnded, { tenantId, sessionIds, reason: 'password-changed' })
  return renderPreparedSession(deps, prepared, teams)
}

/** What an attacker knows of this user and this place. */
export async function contextWords(
  deps: Pick<IdentityDeps, 'db' | 'keys' | 'sealer'>,
  tenantId: TenantId,
  slug: string,
  owner: LinkOwner,
): Promise<readonly string[]> {
  const access = outsideTx(deps.db, tenantId)
  const loginOf = { tenantId, kind: 'login', id: owner.user_id, subjectUserId: subjectOf(owner) } as const
  const [login, displayName] = await Promise.all([
    openName(deps, access, loginOf, owner.login_encrypted),
    openUserName(deps, { tenantId, access }, owner),
  ])
  return [
    slug,
    ...slug.split('-'),
    login.reveal(),
    ...login.reveal().split(/[@._+-]/),
    ...displayName.reveal().split(/\s+/),
  ]
}

/** @returns undefined when the link, the user or the device changed since they were looked at: nothing is stored */
async function store(deps: RedeemDeps, prepared: PreparedSession, tokenHash: Buffer, hashEncoded: string) {
  const { ctx, user, at } = prepared
  const { tenantId, userId } = ctx
  try {
    return await deps.db.withTx(scopeOf(ctx), async (tx) => {
      if (!(await claimLink(tx, tenantId, tokenHash, at))) throw new ChangedMeanwhile()
      const [teams, sessionIds, , isStored] = await Promise.all([
        listTeamsOfUsers(tx, tenantId, [userId]),
        endSessions(tx, { tenantId, userId, reason: 'password-changed', at }),
        setCredential(tx, { tenantId, userId, hashEncoded, at }),
        insertPreparedSession(tx, prepared, hashEncoded),
      ])
      if (!isStored) throw new ChangedMeanwhile()
      const resource = { type: 'user', id: userId }
      await Promise.all([
        expireLinks(tx, tenantId, userId, at),
        deps.audit.record(tx, ctx, { action: 'sign-in-link.redeem', resource, subjectUserId: subjectOf(user) }),
        recordSignIn(deps, tx, prepared),
      ])
      return { teams, sessionIds }
    })
  } catch (error) {
    if (error instanceof ChangedMeanwhile) return undefined
    throw error
  }
}
