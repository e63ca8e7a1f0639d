import type { InputOf, Operations, Presence, TenantId, UserId } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import type { Db, Tx } from '../../platform/db/tx.ts'
import type { Access } from '../access/index.ts'
import type { Audit } from '../audit/index.ts'
import type { PresenceBoard } from './presence.ts'

export interface PresenceDeps {
  readonly db: Db
  readonly access: Access
  readonly audit: Pick<Audit, 'record'>
  readonly board: PresenceBoard
  /** Which of these users are patients. */
  findPatientIds(tx: Tx, tenantId: TenantId, userIds: readonly UserId[]): Promise<readonly UserId[]>
}

/**
 * Who of the named users is there. Users whom the caller may not see are left out, as if they did not exist.
 *
 * @effects audit `presence.list`: one for the list, one for each patient in it
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
 * @param watch  begins the subscription on those whom the caller may see; what they are is read after it, so that a change
 *               in between is told, not lost
 * @effects audit `presence.watch`: one for the watch, one for each patient in it
 */
export async function watchPresence(
  deps: PresenceDeps,
  ctx: Ctx,
  input: { readonly userIds: readonly UserId[] },
  watch: (userIds: readonly UserId[]) => void,
): Promise<{ items: Presence[] }> {
  return { items: await readPresence(deps, ctx, 'presence.watch', input.userIds, watch) }
}

/** For a subscription that goes on: whom of these users the caller may still see. Nothing is read about them. */
export async function findVisibleUsers(
  deps: Pick<PresenceDeps, 'db' | 'access'>,
  ctx: Ctx,
  userIds: readonly UserId[],
): Promise<readonly UserId[]> {
  return deps.db.withTx(scopeOf(ctx), async (tx) =>
    visibleOf(await deps.access.authorizeDirectory(tx, ctx, 'presence.watch'), userIds),
  )
}

function visibleOf({ users }: { readonly users: 'all' | readonly UserId[] }, userIds: readonly UserId[]): UserId[] {
  const asked = [...new Set(userIds)]
  if (users === 'all') return asked
  const visible = new Set(users)
  return asked.filter((userId) => visible.has(userId))
}

async function readPresence(
  deps: PresenceDeps,
  ctx: Ctx,
  action: 'presence.list' | 'presence.watch',
  userIds: readonly UserId[],
  watch?: (userIds: readonly UserId[]) => void,
): Promise<Presence[]> {
  const visible = await deps.db.withTx(scopeOf(ctx), async (tx) => {
    const visible = visibleOf(await deps.access.authorizeDirectory(tx, ctx, action), userIds)
    const patients = await deps.findPatientIds(tx, ctx.tenantId, visible)
    const records = patients.map((userId) => ({
      action,
      resource: { type: 'user', id: userId },
      subjectUserId: userId,
    }))
    await deps.audit.record(tx, ctx, [{ action, details: { userIds: visible } }, ...records])
    return visible
  })
  watch?.(visible)
  return visible.map((userId) => ({ userId, state: deps.board.stateOf(ctx.tenantId, userId) }))
}
