import type { InputOf, Limits, Operations, ReplyOf } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { problem } from '../../platform/problem/problem.ts'
import { instant, toRfc3339, type Instant } from '../../platform/time/clock.ts'
import { newBearer } from './bearer.model.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { insertLink } from './link-store.ts'
import { subjectOf } from './user.model.ts'
import { findUser } from './user-store.ts'

/**
 * A one-time link by which a user sets a password: for a new user, for a forgotten password, and for whoever somebody
 * else's failed attempts keep waiting.
 *
 * @throws access/denied 403 · access/not-found 404: no such user, or an inactive one
 * @effects sign_in_link (earlier ones expire), audit `sign-in-link.create`
 */
export async function createSignInLink(
  deps: Pick<IdentityDeps, 'db' | 'clock' | 'random' | 'limits' | 'access' | 'audit'>,
  ctx: Ctx,
  { userId }: InputOf<Operations['createSignInLink']>,
): Promise<ReplyOf<Operations['createSignInLink']>> {
  const { tenantId } = ctx
  const link = newBearer(deps.random, tenantId)
  const at = deps.clock.now()
  const expiresAt = linkExpiresAt(at, deps.limits)
  await deps.db.withTx(scopeOf(ctx), async (tx) => {
    const grant = await deps.access.authorize(tx, ctx, 'sign-in-link.create')
    const user = await findUser(tx, grant, tenantId, userId)
    if (user === undefined) throw problem('access/not-found', { trueReason: 'no-such-user' })
    if (!user.active) throw problem('access/not-found', { trueReason: 'user-inactive' })
    const resource = { type: 'user', id: userId }
    await Promise.all([
      insertLink(tx, grant, { tenantId, userId, tokenHash: link.hash, at, expiresAt }),
      deps.audit.record(tx, ctx, { action: 'sign-in-link.create', resource, subjectUserId: subjectOf(user) }),
    ])
  })
  return { token: link.token.reveal(), expiresAt: toRfc3339(expiresAt) }
}

export function linkExpiresAt(at: Instant, limits: Pick<Limits, 'signInLinkSeconds'>): Instant {
  return instant(at + limits.signInLinkSeconds * 1000)
}
