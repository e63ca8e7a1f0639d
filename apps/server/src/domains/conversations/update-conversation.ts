import type { Conversation, InputOf, Operations } from '@sotto/protocol'
import type { Ctx } from '../../platform/context/context.ts'
import type { Tx } from '../../platform/db/tx.ts'
import { problem } from '../../platform/problem/problem.ts'
import type { OpenLog } from './append.ts'
import type { LogEnd } from './conversation.model.ts'
import type { ConversationDeps } from './conversations.deps.ts'
import { conversationChanged } from './conversations.topics.ts'
import { updateConversationRow } from './conversation-store.ts'
import { subjectsOf, titleContext } from './render-conversation.ts'
import { readConversation } from './get-conversation.ts'

type Input = InputOf<Operations['updateConversation']>

/**
 * Renames, closes or reopens a conversation; each change is an entry of its log. The new title stands in the conversation,
 * never in the entry.
 *
 * @throws access/not-found 404 · access/denied 403
 * @effects conversation, entries, audit `conversation.update`, in one transaction
 */
export async function updateConversation(deps: ConversationDeps, ctx: Ctx, input: Input): Promise<Conversation> {
  const conversation = await deps.appender.change(ctx, input.conversationId, async (tx, log) => {
    const { grant } = await deps.access.authorizeConversation(tx, ctx, 'conversation.update', input.conversationId)
    if (log.end === undefined) throw problem('access/not-found')
    await updateConversationRow(tx, ctx.tenantId, grant, {
      titleEncrypted: await sealTitle(deps, tx, ctx, log.end, input.title),
      closed: input.closed,
    })
    const changes = await announce(deps, log, log.end, input)
    const conversation = await readConversation(deps, tx, ctx, input.conversationId)
    const records = subjectsOf(conversation).map((subjectUserId) => ({
      action: 'conversation.update' as const,
      resource: { type: 'conversation', id: input.conversationId },
      subjectUserId,
      details: { changes },
    }))
    await deps.recordAudit(tx, ctx, records)
    return conversation
  })
  deps.bus.publish(conversationChanged, { tenantId: ctx.tenantId, conversationId: input.conversationId })
  return conversation
}

async function sealTitle(
  deps: ConversationDeps,
  tx: Tx,
  ctx: Ctx,
  end: LogEnd,
  title: string | null | undefined,
): Promise<Buffer | null | undefined> {
  if (title === null || title === undefined) return title
  const key = await deps.keys.getConversationKey(tx, ctx.tenantId, end.conversationId, end.keyEpoch)
  return deps.sealer.seal(key, titleContext(ctx.tenantId, end.conversationId), Buffer.from(title))
}

async function announce(
  deps: ConversationDeps,
  log: OpenLog,
  end: LogEnd,
  input: Input,
): Promise<readonly ('renamed' | 'closed' | 'reopened')[]> {
  const changes: ('renamed' | 'closed' | 'reopened')[] = []
  if (input.title !== undefined) changes.push('renamed')
  if (input.closed !== undefined && input.closed !== end.closed) changes.push(input.closed ? 'closed' : 'reopened')
  for (const change of changes) {
    await log.append(end, {
      entryId: deps.ids.next(),
      kind: 'system',
      header: { counts: false, priority: 'routine', notify: 'silent' },
      payload: { v: 1, type: 'conversation', change },
      clientSentAt: null,
    })
  }
  return changes
}
