import type { InputOf, Operations, ReplyOf } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { problem } from '../../platform/problem/problem.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { outsideTx } from './open-name.ts'
import { renderUser } from './render-user.ts'
import { listTeamsOfUsers } from './team-store.ts'
import { subjectOf } from './user.model.ts'
import { findUser } from './user-store.ts'

/**
 * One user that the caller may see: staff see the tenant's, a patient those with whom a conversation is shared.
 *
 * @throws access/not-found 404: none such, of another tenant, or not for the caller
 * @effects audit `user.get`
 */
export async function getUser(
  deps: Pick<IdentityDeps, 'db' | 'access' | 'audit' | 'keys' | 'sealer'>,
  ctx: Ctx,
  { userId }: InputOf<Operations['getUser']>,
): Promise<ReplyOf<Operations['getUser']>> {
  const { tenantId } = ctx
  const { user, teams } = await deps.db.withTx(scopeOf(ctx), async (tx) => {
    const grant = await deps.access.authorizeDirectory(tx, ctx, 'user.get')
    const [user, teams] = await Promise.all([
      findUser(tx, grant, tenantId, userId),
      listTeamsOfUsers(tx, tenantId, [userId]),
    ])
    if (user === undefined) throw problem('access/not-found', { trueReason: 'no-such-user-for-caller' })
    const resource = { type: 'user', id: userId }
    await deps.audit.record(tx, ctx, { action: 'user.get', resource, subjectUserId: subjectOf(user) })
    return { user, teams }
  })
  return renderUser(deps, { tenantId, access: outsideTx(deps.db, tenantId) }, user, teams)
}
