import type { TenantId } from '@sotto/protocol'
import type { Tx } from '../../platform/db/tx.ts'
import { setKeyEpoch } from './conversation-store.ts'
import type { LogEnd } from './conversation.model.ts'
import type { ConversationDeps } from './conversations.deps.ts'

/**
 * Gives a locked conversation a new epoch of its key. Sends that were sealed under the old one are sealed again. A
 * conversation whose patient was erased has no key any more: nothing can be written that a new one would keep from anybody.
 */
export async function rotateKey(deps: ConversationDeps, tx: Tx, tenantId: TenantId, end: LogEnd): Promise<LogEnd> {
  const { subjectUserId } = end
  if (subjectUserId !== null && !(await deps.keys.hasSubjectKey({ tenantId, subjectUserId }))) return end
  const key = await deps.keys.rotateConversationKey(tx, tenantId, end.conversationId)
  await setKeyEpoch(tx, tenantId, end.conversationId, key.epoch)
  return { ...end, keyEpoch: key.epoch }
}
