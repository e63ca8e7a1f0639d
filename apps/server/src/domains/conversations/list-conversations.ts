import type { Conversation, InputOf, Operations, ReplyOf } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import type { Tx } from '../../platform/db/tx.ts'
import { assertPageKey } from '../../platform/paging/page-key.ts'
import type { AuditRecord } from '../audit/index.ts'
import type { ConversationDeps } from './conversations.deps.ts'
import { listSummaries, type SummaryRow } from './conversation-store.ts'
import { renderConversations, subjectsOf } from './render-conversation.ts'

/**
 * The caller's conversations in the order of their ids. Each one shown is recorded with the patients whom it tells about.
 *
 * @effects audit `conversation.list`, one for each conversation shown and patient, or one for an empty page
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
    await deps.recordAudit(tx, ctx, recordsOf('conversation.list', items))
    return { items, next: rows.length > input.limit ? page.at(-1)!.conversation_id : null }
  })
}

export async function renderAll(deps: ConversationDeps, tx: Tx, ctx: Ctx, rows: readonly SummaryRow[]) {
  return renderConversations(deps, tx, ctx, await deps.access.getSession(tx, ctx), rows)
}

export function recordsOf(
  action: 'conversation.list' | 'conversation.sync',
  conversations: readonly Conversation[],
): readonly AuditRecord[] {
  if (conversations.length === 0) return [{ action, details: { conversations: 0 } }]
  return conversations.flatMap((conversation) =>
    subjectsOf(conversation).map((subjectUserId) => ({
      action,
      resource: { type: 'conversation', id: conversation.conversationId },
      subjectUserId,
      details: conversation.lastEntry === null ? {} : { seq: conversation.lastEntry.seq },
    })),
  )
}
