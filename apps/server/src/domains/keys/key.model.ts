import type { ConversationId, TenantId, UserId } from '@sotto/protocol'
import type { KeyObject } from 'node:crypto'
import type { DataKey } from '../../platform/crypto/envelope.ts'
import { deriveKey, keyedHash } from '../../platform/crypto/primitives.ts'
import type { Sealer } from '../../platform/crypto/seal.ts'
import type { Random } from '../../platform/ids/ids.ts'
import type { Clock } from '../../platform/time/clock.ts'
import type { KeyCache } from './key-cache.ts'
import type { Keyring } from './keyring.port.ts'

/**
 * | state | new data | old data | the wrapped key |
 * |---|---|---|---|
 * | primary | sealed with it | opens | stands |
 * | decrypt-only | another generation is primary | opens | stands |
 * | disabled | refused | refused, until it is enabled again | stands |
 * | destroyed | refused | refused for ever | is gone |
 */
export type KeyState = 'primary' | 'decrypt-only' | 'disabled' | 'destroyed'

export interface KeysDeps {
  readonly keyring: Keyring
  readonly sealer: Pick<Sealer, 'forget'>
  readonly cache: KeyCache
  readonly random: Random
  readonly clock: Clock
}

export interface ConversationKeyRef {
  readonly tenantId: TenantId
  readonly conversationId: ConversationId
}

export interface SubjectRef {
  readonly tenantId: TenantId
  readonly subjectUserId: UserId
}

/** What a keyed hash is for. The same value under two purposes gives two indexes that cannot be joined. */
export type IndexPurpose = 'login' | 'audit-actor' | 'audit-subject' | 'audit-resource' | 'idempotency'

/** Events about nobody: sign-ins, settings. */
export const NO_BUCKET = -1
export const AUDIT_BUCKETS = 256

/** Keyed indexes stay with the first generation of the tenant's key: with another one, nothing would be found any more. */
export const INDEX_KEY_VERSION = 1

/** The prefix of the ids of everything that belongs to a tenant: what `forgetTenantKeys` drops. */
export function tenantPrefix(tenantId: string): string {
  return `tenant/${tenantId}/`
}

/** The key under which a conversation's data key is wrapped. With a subject it takes both keys to derive it. */
export function conversationWrappingKey(tenantKey: DataKey, subjectKey: DataKey | undefined): DataKey {
  const keys = subjectKey === undefined ? [tenantKey.key] : [tenantKey.key, subjectKey.key]
  return { ...tenantKey, key: deriveKey(keys, 'sotto/keys/conversation-wrap') }
}

export function auditWrappingKey(tenantKey: DataKey): DataKey {
  return { ...tenantKey, key: deriveKey(tenantKey.key, 'sotto/keys/audit-wrap') }
}

export function deriveDirectoryKey(tenantKey: DataKey, subjectKey: DataKey | undefined): KeyObject {
  const keys = subjectKey === undefined ? [tenantKey.key] : [tenantKey.key, subjectKey.key]
  return deriveKey(keys, 'sotto/keys/directory')
}

export function deriveIndexKey(tenantKey: DataKey, purpose: IndexPurpose | 'audit-bucket'): KeyObject {
  return deriveKey(tenantKey.key, 'sotto/keys/index', purpose)
}

/** Of a bucket's key and a subject's key: the bucket ends by retention, the subject by erasure. */
export function deriveAuditKey(bucketKey: DataKey, subjectKey: DataKey): KeyObject {
  return deriveKey([bucketKey.key, subjectKey.key], 'sotto/keys/audit-subject')
}

/** @param bucketIndexKey  of the purpose `audit-bucket`: without it nobody can tell whose events a bucket holds */
export function auditBucketOf(bucketIndexKey: KeyObject, subjectUserId: string): number {
  return keyedHash(bucketIndexKey, subjectUserId)[0]!
}

/** What a wrapped key is bound to, besides its wrapping key. */
export const wrapContexts = {
  tenant: (tenantId: string, version: number) => ['tenant-key', tenantId, String(version)],
  conversation: (key: {
    readonly tenantId: string
    readonly conversationId: string
    readonly epoch: number
    readonly subjectUserId: string | null
  }) => ['conversation-key', key.tenantId, key.conversationId, String(key.epoch), key.subjectUserId ?? ''],
  audit: (tenantId: string, bucket: number, epoch: number) => ['audit-key', tenantId, String(bucket), String(epoch)],
}
