import type { InputOf, Operations, TenantId } from '@sotto/protocol'
import { anonymous, scopeOf, SYSTEM_TENANT_ID, type Origin } from '../../platform/context/context.ts'
import { Secret } from '../../platform/phi/phi.ts'
import { problem } from '../../platform/problem/problem.ts'
import { beginAttempt, describeAttempt, forgiveAttempt, type Attempt } from './begin-attempt.ts'
import { findUserByLogin, replaceCredential } from './credential-store.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { indexLogin, outsideTx } from './open-name.ts'
import type { Place } from './password-hasher.ts'
import type { SignedInResult } from './signed-in.model.ts'
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
import { findTenantBySlug } from './tenant-store.ts'

type CreateSessionDeps = Pick<
  IdentityDeps,
  'db' | 'clock' | 'random' | 'ids' | 'limits' | 'keys' | 'sealer' | 'passwords' | 'accessTokens' | 'audit'
>
type Input = InputOf<Operations['createSession']>

/**
 * Signs a user in with a name and a password.
 *
 * Whoever fails learns nothing: an unknown tenant, an unknown name, a wrong password, an inactive user and a user without a
 * password get the same answer after the same work. The audit trail keeps which it was; never what was typed as the name,
 * which now and then is the password.
 *
 * @throws identity/sign-in-failed 401 · identity/sign-in-delayed 429 · platform/unavailable 503 (too many sign-ins at once)
 * @effects session, refresh_token, device, sign_in_failure, audit `session.create`
 * @control 45 CFR 164.312(a)(2)(i), 164.312(d), 164.308(a)(5)(ii)(C)
 */
export async function createSession(deps: CreateSessionDeps, origin: Origin, input: Input): Promise<SignedInResult> {
  const tenant = await deps.db.withTx({ role: 'lookup' }, (tx) => findTenantBySlug(tx, input.tenant))
  // An unknown tenant is not told by the time it takes: everything goes its way in the system tenant, where nobody is.
  const tenantId = tenant?.tenant_id ?? SYSTEM_TENANT_ID
  const ctx = anonymous(origin, tenantId)
  const { user, attempt, provenDeviceId, waitMs, place } = await begin(deps, tenantId, origin, input)
  using _ = place
  const resource = user === undefined ? {} : { resource: { type: 'user', id: user.user_id } }
  const refuse = (trueReason: string) =>
    refused(deps, ctx, { action: 'session.create', ...resource }, problem('identity/sign-in-failed', { trueReason }))

  if (waitMs > 0) {
    const delayed = problem('identity/sign-in-delayed', { retryAfterMs: waitMs, trueReason: 'delayed' })
    throw await refused(deps, ctx, { action: 'session.create', ...resource }, delayed)
  }
  const password = new Secret(input.password)
  const isRight = await deps.passwords.verify(password, user?.hash_encoded ?? undefined, place)
  if (tenant === undefined) throw await refuse('unknown-tenant')
  if (user === undefined) throw await refuse('unknown-login')
  const verifiedHash = user.hash_encoded
  if (verifiedHash === null) throw await refuse('no-password')
  if (!isRight) throw await refuse('wrong-password')
  if (!user.active) throw await refuse('inactive')

  const prepared = await prepareSession(deps, origin, tenantId, user, { name: input.device.name, provenDeviceId })
  const newHash = deps.passwords.isOutdated(verifiedHash) ? await deps.passwords.hash(password) : undefined
  const teams = await store(deps, prepared, attempt, { verifiedHash, newHash })
  if (teams === undefined) throw await refuse('changed-meanwhile')
  return renderPreparedSession(deps, prepared, teams)
}

/** Finds a place before the attempt is counted: who is sent away because too many wait has not guessed. */
async function begin(deps: CreateSessionDeps, tenantId: TenantId, origin: Origin, input: Input) {
  const access = outsideTx(deps.db, tenantId)
  const key = await deps.keys.getIndexKey(access, tenantId, 'login')
  const loginIndex = await indexLogin(deps, access, tenantId, input.login)
  let place: Place | undefined
  try {
    return await deps.db.withTx(scopeOf({ tenantId }), async (tx) => {
      const [user, owner] = await Promise.all([
        findUserByLogin(tx, tenantId, loginIndex),
        findProvenOwner(tx, tenantId, input.device),
      ])
      const provenDeviceId = owner !== undefined && owner === user?.user_id ? input.device.deviceId : undefined
      const attempt = describeAttempt(key, { tenantId, loginIndex, address: origin.address, provenDeviceId })
      place ??= deps.passwords.reserve(provenDeviceId === undefined ? 'unknown' : 'proven')
      const waitMs = await beginAttempt(tx, attempt, deps.clock.now(), deps.limits.signInDelayMsMax)
      return { user, provenDeviceId, attempt, waitMs, place }
    })
  } catch (error) {
    place?.[Symbol.dispose]()
    throw error
  }
}

/** @returns the user's teams; undefined when user, device or password changed since they were looked at: nothing is stored */
async function store(
  deps: CreateSessionDeps,
  prepared: PreparedSession,
  attempt: Attempt,
  hashes: { readonly verifiedHash: string; readonly newHash: string | undefined },
) {
  const { ctx, at } = prepared
  const { tenantId, userId } = ctx
  try {
    return await deps.db.withTx(scopeOf(ctx), async (tx) => {
      const [teams, isStored] = await Promise.all([
        listTeamsOfUsers(tx, tenantId, [userId]),
        insertPreparedSession(tx, prepared, hashes.verifiedHash),
      ])
      if (!isStored) throw new ChangedMeanwhile()
      if (hashes.newHash !== undefined) {
        await replaceCredential(tx, hashes.verifiedHash, { tenantId, userId, hashEncoded: hashes.newHash, at })
      }
      await Promise.all([forgiveAttempt(tx, attempt), recordSignIn(deps, tx, prepared)])
      return teams
    })
  } catch (error) {
    if (error instanceof ChangedMeanwhile) return undefined
    throw error
  }
}
