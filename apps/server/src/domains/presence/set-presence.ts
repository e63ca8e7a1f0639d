import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import type { HereState } from './presence.ts'
import type { PresenceDeps } from './list-presence.ts'

/**
 * Says whether the person is at this device. What it changes lives in memory; that it was said is recorded.
 *
 * @effects audit `presence.set`; hint `presence.changed`
 */
export async function setPresence(
  deps: PresenceDeps,
  ctx: Ctx,
  socketId: string,
  input: { readonly state: HereState },
): Promise<void> {
  await deps.db.withTx(scopeOf(ctx), async (tx) => {
    await deps.access.authorize(tx, ctx, 'presence.set')
    await deps.audit.record(tx, ctx, { action: 'presence.set', details: { state: input.state } })
  })
  deps.board.set(ctx.tenantId, ctx.userId, socketId, input.state)
}
