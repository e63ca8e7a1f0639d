import { SealBroken, type DataKey } from '../../platform/crypto/envelope.ts'
import { unwrapKey } from '../../platform/crypto/wrap.ts'
import { conversationKeyId } from './create-conversation-key.ts'
import type { KeyAccess } from './read-keys.ts'
import { readKeys } from './read-keys.ts'
import { conversationWrappingKey, wrapContexts } from './key.model.ts'
import type { ConversationKeyRef, KeysDeps } from './key.model.ts'
import { findConversationKey } from './keys-store.ts'
import { checkReadable, getSubjectKey, getTenantKey } from './get-tenant-key.ts'

/**
 * The data key of one epoch of a conversation: from memory when it is warm, else by `access`.
 *
 * Which epoch is current stands in the conversation's own row, so that no process needs to be told: a sender seals under the
 * epoch it last saw, the append compares it with the row that it locks anyway, and where they differ it is sealed again
 * under the new one before anything is written. A reader takes the epoch from what is sealed (`sealedEpoch`).
 *
 * @throws keys/unreadable 410, when the key or its subject's key is disabled or destroyed · SealBroken, when there is no such
 *         epoch or the key does not unwrap: the database was changed
 */
export async function getConversationDataKey(
  deps: KeysDeps,
  access: KeyAccess,
  input: ConversationKeyRef & { readonly epoch: number },
): Promise<DataKey> {
  const { tenantId, conversationId, epoch } = input
  const id = conversationKeyId(tenantId, conversationId, epoch)
  const cached = await deps.cache.remember(id, async () => {
    const { row, freshUntilMs } = await readKeys(deps, access, (tx) =>
      findConversationKey(tx, tenantId, conversationId, epoch),
    )
    // A conversation has a data key for every epoch that its row, or what is sealed, has named.
    if (row === undefined) throw new SealBroken()
    const wrapped = checkReadable(row)
    const subjectUserId = row.subject_user_id
    const tenantKey = await getTenantKey(deps, access, tenantId, row.tenant_key_version)
    const subjectKey = subjectUserId === null ? undefined : await getSubjectKey(deps, tenantId, subjectUserId)
    const wrappingKey = conversationWrappingKey(tenantKey.dataKey, subjectKey?.dataKey)
    const key = unwrapKey(wrappingKey, wrapContexts.conversation({ ...input, subjectUserId }), wrapped)
    return {
      dataKey: { id, epoch, key },
      freshUntilMs: Math.min(freshUntilMs, tenantKey.freshUntilMs, subjectKey?.freshUntilMs ?? Infinity),
    }
  })
  return cached.dataKey
}
