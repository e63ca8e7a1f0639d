import type { InputOf, Operations, ReplyOf } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { instant } from '../../platform/time/clock.ts'
import { pageOfRows, readIdCursor } from './id-cursor.model.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { renderSession } from './session.model.ts'
import { listSessions as listStoredSessions } from './session-store.ts'

/**
 * The caller's sessions that live.
 *
 * @throws platform/invalid-input 400 (a page key that is not one)
 * @effects audit `session.list`
 */
export async function listSessions(
  deps: Pick<IdentityDeps, 'db' | 'clock' | 'limits' | 'access' | 'audit'>,
  ctx: Ctx,
  input: InputOf<Operations['listSessions']>,
): Promise<ReplyOf<Operations['listSessions']>> {
  const afterSessionId = readIdCursor(input.after)
  const now = deps.clock.now()
  const idleSince = instant(now - deps.limits.sessionIdleSeconds * 1000)
  return deps.db.withTx(scopeOf(ctx), async (tx) => {
    const grant = await deps.access.authorize(tx, ctx, 'session.list')
    const filter = { now, idleSince, currentSessionId: ctx.sessionId, afterSessionId, limit: input.limit + 1 }
    const rows = await listStoredSessions(tx, grant, filter)
    const page = pageOfRows(rows, input.limit, (row) => row.session_id)
    await deps.audit.record(tx, ctx, { action: 'session.list', details: { sessions: page.items.length } })
    return { items: page.items.map((row) => renderSession(row, deps.limits, ctx.sessionId)), next: page.next }
  })
}
