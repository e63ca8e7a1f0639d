import type { InputOf, Operations, ReplyOf } from '@sotto/protocol'
import { scopeOf, type AnonymousCtx, type Ctx } from '../../platform/context/context.ts'
import type { Db, Tx } from '../../platform/db/tx.ts'
import { problem } from '../../platform/problem/problem.ts'
import type { Access } from '../access/index.ts'
import type { AuditRecord } from '../audit/index.ts'
import { listLogEntries, renderEntry, type BodyDeps } from '../conversations/index.ts'

export interface ListEntriesDeps extends BodyDeps {
  readonly db: Db
  readonly access: Access
  recordAudit(tx: Tx, ctx: Ctx | AnonymousCtx, records: AuditRecord): Promise<void>
}

type Input = InputOf<Operations['listEntries']>

/**
 * A range of the log in order of seq: the last entries, those after a position (a gap, a catch-up), or those before one
 * (scrolling back). What was written before a member could see it does not exist for that member.
 *
 * @throws access/not-found 404 · platform/invalid-input 400
 * @effects audit `entry.list` with the range read
 */
export async function listEntries(
  deps: ListEntriesDeps,
  ctx: Ctx,
  input: Input,
): Promise<ReplyOf<Operations['listEntries']>> {
  return deps.db.withTx(scopeOf(ctx), async (tx) => {
    const { membership } = await deps.access.authorizeConversation(tx, ctx, 'entry.list', input.conversationId)
    const firstVisibleSeq = membership.firstVisibleSeq ?? 1
    const stored = await listLogEntries(tx, ctx.tenantId, {
      conversationId: input.conversationId,
      afterSeq: Math.max(input.afterSeq ?? 0, firstVisibleSeq - 1),
      beforeSeq: input.beforeSeq ?? Number.MAX_SAFE_INTEGER,
      limit: input.limit,
      from: input.afterSeq === undefined ? 'end' : 'start',
    })
    const items = []
    for (const entry of stored) items.push(await renderEntry(deps, tx, ctx.tenantId, entry))
    await deps.recordAudit(tx, ctx, {
      action: 'entry.list',
      resource: { type: 'conversation', id: input.conversationId },
      subjectUserId: membership.subjectUserId,
      details: { entries: items.length, fromSeq: items[0]?.seq ?? 0, toSeq: items.at(-1)?.seq ?? 0 },
    })
    return { items, firstVisibleSeq, lastSeq: membership.lastSeq }
  })
}

/** @throws platform/invalid-input when the range is empty by its own bounds */
export function checkListEntries(input: Input): void {
  if (input.afterSeq === undefined || input.beforeSeq === undefined || input.afterSeq < input.beforeSeq) return
  throw problem('platform/invalid-input', { errors: [{ pointer: '/afterSeq', message: 'not before beforeSeq' }] })
}
