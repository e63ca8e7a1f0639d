import type { InputOf, Operations } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { Secret } from '../../platform/phi/phi.ts'
import { problem } from '../../platform/problem/problem.ts'
import { beginAttempt, describeAttempt, forgiveAttempt } from './begin-attempt.ts'
import { findCredential, replaceCredential } from './credential-store.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { sessionEnded } from './identity.events.ts'
import { outsideTx } from './open-name.ts'
import { weakPassword } from './password.model.ts'
import { contextWords } from './redeem-sign-in-link.ts'
import { endSessions } from './session-store.ts'
import { expireLinks } from './link-store.ts'
import { findTenant } from './tenant-store.ts'
import { subjectOf } from './user.model.ts'

type ChangePasswordDeps = Pick<
  IdentityDeps,
  'db' | 'clock' | 'limits' | 'access' | 'audit' | 'keys' | 'sealer' | 'passwords' | 'bus'
>
type Input = InputOf<Operations['changePassword']>

/**
 * Changes the caller's own password; every other session of the caller ends. The current one is asked for and throttled
 * like a sign-in at this device, so that a workstation left open is no way to guess it.
 *
 * @throws access/not-found 404 (not the caller) · identity/sign-in-failed 401 · identity/sign-in-delayed 429 ·
 *         identity/password-weak 400
 * @effects password_credential, session, sign_in_link, sign_in_failure, audit `password.change`, hint `session.ended`
 * @control 45 CFR 164.308(a)(5)(ii)(D)
 */
export async function changePassword(deps: ChangePasswordDeps, ctx: Ctx, input: Input): Promise<void> {
  const { tenantId, userId } = ctx
  using place = deps.passwords.reserve('proven')
  const { user, tenant, attempt, waitMs } = await begin(deps, ctx, input)
  if (waitMs > 0) throw problem('identity/sign-in-delayed', { retryAfterMs: waitMs, trueReason: 'delayed' })
  const verifiedHash = user?.hash_encoded ?? undefined
  const isRight = await deps.passwords.verify(new Secret(input.currentPassword), verifiedHash, place)
  if (user === undefined || tenant === undefined || verifiedHash === undefined || !isRight) {
    throw problem('identity/sign-in-failed', { trueReason: 'wrong-password' })
  }
  const words = [...(await contextWords(deps, tenantId, tenant.slug, user)), input.currentPassword]
  const weak = weakPassword(input.newPassword, words, deps.limits, '/newPassword')
  if (weak !== undefined) throw weak

  const hashEncoded = await deps.passwords.hash(new Secret(input.newPassword))
  const sessionIds = await deps.db.withTx(scopeOf(ctx), async (tx) => {
    await deps.access.authorize(tx, ctx, 'password.change')
    const at = deps.clock.now()
    if (!(await replaceCredential(tx, verifiedHash, { tenantId, userId, hashEncoded, at }))) {
      throw problem('identity/sign-in-failed', { trueReason: 'changed-meanwhile' })
    }
    const [sessionIds] = await Promise.all([
      endSessions(tx, { tenantId, userId, exceptSessionId: ctx.sessionId, reason: 'password-changed', at }),
      expireLinks(tx, tenantId, userId, at),
      forgiveAttempt(tx, attempt),
      deps.audit.record(tx, ctx, {
        action: 'password.change',
        resource: { type: 'user', id: userId },
        subjectUserId: subjectOf(user),
      }),
    ])
    return sessionIds
  })
  if (sessionIds.length > 0) deps.bus.publish(sessionEnded, { tenantId, sessionIds, reason: 'password-changed' })
}

async function begin(deps: ChangePasswordDeps, ctx: Ctx, input: Input) {
  const { tenantId, deviceId, address } = ctx
  const key = await deps.keys.getIndexKey(outsideTx(deps.db, tenantId), tenantId, 'login')
  // The session proves the device.
  const attempt = describeAttempt(key, { tenantId, loginIndex: Buffer.alloc(0), address, provenDeviceId: deviceId })
  return deps.db.withTx(scopeOf(ctx), async (tx) => {
    const grant = await deps.access.authorize(tx, ctx, 'password.change')
    if (input.userId !== ctx.userId) throw problem('access/not-found', { trueReason: 'not-own-password' })
    const [user, tenant] = await Promise.all([findCredential(tx, grant), findTenant(tx, tenantId)])
    const waitMs = await beginAttempt(tx, attempt, deps.clock.now(), deps.limits.signInDelayMsMax)
    return { user, tenant, attempt, waitMs }
  })
}
