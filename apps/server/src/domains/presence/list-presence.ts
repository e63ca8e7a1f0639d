import type { InputOf, Operations, Presence, UserId } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import type { Db } from '../../platform/db/tx.ts'
import type { Access } from '../access/index.ts'
import type { Audit } from '../audit/index.ts'
import type { PresenceBoard } from './presence.ts'

export interface PresenceDeps {
  readonly db: Db
  readonly access: Access
  readonly audit: Pick<Audit, 'record'>
  readonly board: PresenceBoard
}

/**
 * Who of the named users is there. Users whom the caller may not see are left out, as if they did not exist.
 *
 * @effects audit `presence.list`
 */
export async function listPresence(
  deps: PresenceDeps,
  ctx: Ctx,
  input: InputOf<Operations['listPresence']>,
): Promise<{ items: Presence[] }> {
  return { items: await readPresence(deps, ctx, 'presence.list', input.userIds) }
}

/**
 * The same as the start of a subscription: from now on the socket is told of changes.
 *
 * @effects audit `presence.watch`
 */
export async function watchPresence(
  deps: PresenceDeps,
  ctx: Ctx,
  input: { readonly userIds: readonly UserId[] },
): Promise<{ items: Presence[] }> {
  return { items: await readPresence(deps, ctx, 'presence.watch', input.userIds) }
}

async function readPresence(
  deps: PresenceDeps,
  ctx: Ctx,
  action: 'presence.list' | 'presence.watch',
  userIds: readonly UserId[],
): Promise<Presence[]> {
  return deps.db.withTx(scopeOf(ctx), async (tx) => {
    const { users } = await deps.access.authorizeDirectory(tx, ctx, action)
    const visible = users === 'all' ? userIds : userIds.filter((userId) => users.includes(userId))
    await deps.audit.record(tx, ctx, { action, details: { userIds: [...visible] } })
    return visible.map((userId) => ({ userId, state: deps.board.stateOf(ctx.tenantId, userId) }))
  })
}
