import type { InputOf, Operations, ReplyOf } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import type { Tx } from '../../platform/db/tx.ts'
import { assertPageKey } from '../../platform/paging/page-key.ts'
import type { AuditRecord } from '../audit/index.ts'
import type { ConversationDeps } from './conversations.deps.ts'
import { listSummaries, type SummaryRow } from './conversation-store.ts'
import { renderConversation } from './render-conversation.ts'

/**
 * The caller's conversations in the order of their ids. Each one shown is recorded with the patient it is about.
 *
 * @effects audit `conversation.list`, one for each conversation shown, or one for an empty page
 */
export async function listConversations(
  deps: ConversationDeps,
  ctx: Ctx,
  input: InputOf<Operations['listConversations']>,
): Promise<ReplyOf<Operations['listConversations']>> {
  const after = assertPageKey(input.after)
  return deps.db.withTx(scopeOf(ctx), async (tx) => {
    const grant = await deps.access.authorize(tx, ctx, 'conversation.list')
    const rows = await listSummaries(tx, grant, after, input.limit + 1)
    const page = rows.slice(0, input.limit)
    const items = await renderAll(deps, tx, ctx, page)
    await deps.recordAudit(tx, ctx, recordsOf('conversation.list', page))
    return { items, next: rows.length > input.limit ? page.at(-1)!.conversation_id : null }
  })
}

export async function renderAll(deps: ConversationDeps, tx: Tx, ctx: Ctx, rows: readonly SummaryRow[]) {
  const session = await deps.access.getSession(tx, ctx)
  const items = []
  for (const row of rows) items.push(await renderConversation(deps, tx, ctx, session, row))
  return items
}

export function recordsOf(
  action: 'conversation.list' | 'conversation.sync',
  rows: readonly SummaryRow[],
): readonly AuditRecord[] {
  if (rows.length === 0) return [{ action, details: { conversations: 0 } }]
  return rows.map((row) => ({
    action,
    resource: { type: 'conversation', id: row.conversation_id },
    subjectUserId: row.subject_user_id,
    details: row.seq === null ? {} : { seq: row.seq },
  }))
}
