import assert from 'node:assert/strict'
import type { UserId } from '@sotto/protocol'
import type { DataKey } from '../../platform/crypto/envelope.ts'
import { newKey } from '../../platform/crypto/primitives.ts'
import { wrapKey } from '../../platform/crypto/wrap.ts'
import type { Tx } from '../../platform/db/tx.ts'
import { conversationWrappingKey, tenantPrefix, wrapContexts } from './key.model.ts'
import type { ConversationKeyRef, KeysDeps } from './key.model.ts'
import { insertConversationKey, lockPrimaryConversationKey, updateConversationKeyState } from './keys-store.ts'
import { getSubjectKey, getTenantKey } from './get-tenant-key.ts'

/**
 * Makes the first data key of a conversation, in the transaction that makes the conversation.
 *
 * @param input.subjectUserId  the patient whom the conversation is about; destroying that subject's key kills this one
 * @returns the key, epoch 1, for what is sealed in this same transaction
 * @throws  keys/unreadable 410, when the subject's key is destroyed or was never created
 * @effects conversation_key
 * @control 164.312(a)(2)(iv)
 */
export async function createConversationKey(
  deps: KeysDeps,
  tx: Tx,
  input: ConversationKeyRef & { readonly subjectUserId?: UserId | null },
): Promise<DataKey> {
  return insertEpoch(deps, tx, { ...input, subjectUserId: input.subjectUserId ?? null, epoch: 1 })
}

/**
 * Begins a new epoch: when a member is removed, or when the old one is old enough. What was sealed before still opens.
 * The caller holds the lock on the conversation and writes the new epoch into its row in this same transaction.
 *
 * @returns the key of the new epoch; its number is the old one plus 1
 * @throws  keys/unreadable 410, when the subject's key is destroyed
 * @effects conversation_key: the old epoch becomes decrypt-only
 */
export async function rotateConversationKey(deps: KeysDeps, tx: Tx, input: ConversationKeyRef): Promise<DataKey> {
  const { tenantId, conversationId } = input
  const current = await lockPrimaryConversationKey(tx, tenantId, conversationId)
  assert(current !== undefined, 'A conversation has a primary data key')
  await updateConversationKeyState(tx, tenantId, conversationId, current.epoch, 'decrypt-only')
  const subjectUserId = current.subject_user_id
  return insertEpoch(deps, tx, { tenantId, conversationId, subjectUserId, epoch: current.epoch + 1 })
}

async function insertEpoch(
  deps: KeysDeps,
  tx: Tx,
  input: ConversationKeyRef & { readonly subjectUserId: string | null; readonly epoch: number },
): Promise<DataKey> {
  deps.cache.distrust(tx)
  const { tenantId, conversationId, subjectUserId, epoch } = input
  const tenantKey = (await getTenantKey(deps, tx, tenantId)).dataKey
  const subjectKey = subjectUserId === null ? undefined : (await getSubjectKey(deps, tenantId, subjectUserId)).dataKey
  const key = newKey(deps.random)
  const wrapped = wrapKey(
    deps.random,
    conversationWrappingKey(tenantKey, subjectKey),
    wrapContexts.conversation(input),
    key,
  )
  const at = deps.clock.now()
  const tenantKeyVersion = tenantKey.epoch
  await insertConversationKey(tx, { tenantId, conversationId, epoch, wrapped, tenantKeyVersion, subjectUserId, at })
  return { id: conversationKeyId(tenantId, conversationId, epoch), epoch, key }
}

export function conversationKeyId(tenantId: string, conversationId: string, epoch: number): string {
  return `${tenantPrefix(tenantId)}conversation/${conversationId}/${epoch}`
}
