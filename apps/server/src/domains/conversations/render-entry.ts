import type { ConversationId, Entry, EntryId, Payload, TenantId } from '@sotto/protocol'
import type { DataKey } from '../../platform/crypto/envelope.ts'
import { sealedEpoch, type Sealer } from '../../platform/crypto/seal.ts'
import { Problem } from '../../platform/problem/problem.ts'
import { toRfc3339 } from '../../platform/time/clock.ts'
import { noticeTampering, type KeyAccess } from '../keys/index.ts'
import type { StoredEntry } from './conversation.model.ts'

/** What conversations need of the tenant's keys. */
export interface ConversationKeys {
  /** From memory when it was used before; else read in `tx`. */
  getConversationKey(
    access: KeyAccess,
    tenantId: TenantId,
    conversationId: ConversationId,
    epoch: number,
  ): Promise<DataKey>
}

export interface BodyDeps {
  readonly sealer: Sealer
  readonly keys: ConversationKeys
}

/** A body belongs to its tenant, conversation and entry: moved anywhere else it does not open. */
function entryContext(tenantId: TenantId, conversationId: ConversationId, entryId: EntryId): readonly string[] {
  return ['entry', tenantId, conversationId, entryId, '1']
}

export function encodePayload(payload: Payload): Buffer {
  return Buffer.from(JSON.stringify(payload), 'utf8')
}

export function sealBody(
  sealer: Sealer,
  key: DataKey,
  place: { readonly tenantId: TenantId; readonly conversationId: ConversationId; readonly entryId: EntryId },
  payload: Buffer,
): Buffer {
  return sealer.seal(key, entryContext(place.tenantId, place.conversationId, place.entryId), payload)
}

/** The same body under another key, for the same place. */
export function resealBody(
  sealer: Sealer,
  from: DataKey,
  to: DataKey,
  place: { readonly tenantId: TenantId; readonly conversationId: ConversationId; readonly entryId: EntryId },
  body: Buffer,
): Buffer {
  const context = entryContext(place.tenantId, place.conversationId, place.entryId)
  return sealer.seal(to, context, sealer.open(from, context, body))
}

/**
 * Renders an entry for those who may read it. One that was erased, alone or with its key, keeps its place and says so: the
 * others of the log, and the other conversations of a list, are read as before.
 *
 * @throws keys/tampered 500, when the body is not the one that was sealed for this place
 */
export async function renderEntry(
  deps: BodyDeps,
  access: KeyAccess,
  tenantId: TenantId,
  stored: StoredEntry,
): Promise<Entry> {
  const { bodyCiphertext, conversationId, entryId } = stored
  if (bodyCiphertext === null) return toEntry(stored, ERASED)
  return noticeTampering({ kind: 'entry', id: entryId, conversationId }, async () => {
    const key = await findReadableKey(deps, access, tenantId, conversationId, sealedEpoch(bodyCiphertext))
    return toEntry(stored, key === undefined ? ERASED : openBody(deps.sealer, key, tenantId, stored))
  })
}

const ERASED: Payload = { v: 1, type: 'erased' }

/** @returns undefined when the key was destroyed or disabled */
export async function findReadableKey(
  deps: BodyDeps,
  access: KeyAccess,
  tenantId: TenantId,
  conversationId: ConversationId,
  epoch: number,
): Promise<DataKey | undefined> {
  try {
    return await deps.keys.getConversationKey(access, tenantId, conversationId, epoch)
  } catch (error) {
    if (error instanceof Problem && error.code === 'keys/unreadable') return undefined
    throw error
  }
}

export function openBody(sealer: Sealer, key: DataKey, tenantId: TenantId, stored: StoredEntry): Payload {
  const plain = sealer.open(key, entryContext(tenantId, stored.conversationId, stored.entryId), stored.bodyCiphertext!)
  return JSON.parse(plain.toString('utf8')) as Payload
}

export function toEntry(stored: StoredEntry, payload: Payload): Entry {
  return {
    conversationId: stored.conversationId,
    seq: stored.seq,
    countable: stored.countable,
    entryId: stored.entryId,
    kind: stored.kind,
    sender: { userId: stored.senderUserId, deviceId: stored.senderDeviceId },
    at: toRfc3339(stored.at),
    clientSentAt: stored.clientSentAt === null ? null : toRfc3339(stored.clientSentAt),
    header: stored.header,
    payload,
  }
}
