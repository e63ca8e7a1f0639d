import type { InputOf, Operations, ReplyOf } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import type { AuditRecord } from '../audit/index.ts'
import { pageOfRows, readIdCursor } from './id-cursor.model.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { outsideTx } from './open-name.ts'
import { renderUser } from './render-user.ts'
import { listTeamsOfUsers } from './team-store.ts'
import type { StoredUser } from './user.model.ts'
import { listUsers as listStoredUsers } from './user-store.ts'

/**
 * The users that the caller may see. Every patient on the page gets a record of their own, so that they can learn later who
 * saw their name.
 *
 * @throws platform/invalid-input 400 (a page key that is not one)
 * @effects audit `user.list`: one for the list, one for each patient in it
 * @control 45 CFR 164.312(b), 164.528
 */
export async function listUsers(
  deps: Pick<IdentityDeps, 'db' | 'access' | 'audit' | 'keys' | 'sealer'>,
  ctx: Ctx,
  input: InputOf<Operations['listUsers']>,
): Promise<ReplyOf<Operations['listUsers']>> {
  const { tenantId } = ctx
  const filter = { tenantId, role: input.role, afterUserId: readIdCursor(input.after), limit: input.limit + 1 }
  const { page, teams } = await deps.db.withTx(scopeOf(ctx), async (tx) => {
    const grant = await deps.access.authorizeDirectory(tx, ctx, 'user.list')
    const page = pageOfRows(await listStoredUsers(tx, grant, filter), input.limit, (row) => row.user_id)
    const userIds = page.items.map((user) => user.user_id)
    const [teams] = await Promise.all([
      listTeamsOfUsers(tx, tenantId, userIds),
      deps.audit.record(tx, ctx, recordsOf(page.items, input.role)),
    ])
    return { page, teams }
  })
  const of = { tenantId, access: outsideTx(deps.db, tenantId) }
  return { items: await Promise.all(page.items.map((user) => renderUser(deps, of, user, teams))), next: page.next }
}

function recordsOf(users: readonly StoredUser[], role: string | undefined): readonly AuditRecord[] {
  const details = { users: users.length, ...(role === undefined ? {} : { role }) }
  const patients = users.filter((user) => user.role === 'patient')
  return [
    { action: 'user.list', details },
    ...patients.map(({ user_id }) => ({
      action: 'user.list' as const,
      resource: { type: 'user', id: user_id },
      subjectUserId: user_id,
    })),
  ]
}
