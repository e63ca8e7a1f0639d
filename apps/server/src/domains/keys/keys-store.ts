import { statement } from '../../platform/db/tx.ts'
import type { Tx } from '../../platform/db/tx.ts'
import { toRfc3339 } from '../../platform/time/clock.ts'
import type { Instant } from '../../platform/time/clock.ts'
import type { KeyState } from './key.model.ts'

/** `wrapped` is null when, and only when, the key is destroyed. */
export interface WrappedKey {
  readonly wrapped: Buffer | null
  readonly state: KeyState
}

export interface TenantKeyRow extends WrappedKey {
  readonly version: number
}

export interface ConversationKeyRow extends WrappedKey {
  readonly epoch: number
  readonly tenant_key_version: number
  readonly subject_user_id: string | null
}

export interface AuditKeyRow extends WrappedKey {
  readonly epoch: number
  readonly tenant_key_version: number
}

const insertTenantKeyStatement = statement(
  'keys.insert-tenant-key',
  `insert into tenant_key (tenant_id, version, wrapped_key_encrypted, state, created_at) values ($1, $2, $3, 'primary', $4)`,
)

export async function insertTenantKey(
  tx: Tx,
  key: { readonly tenantId: string; readonly version: number; readonly wrapped: Uint8Array; readonly at: Instant },
): Promise<void> {
  await tx.run(insertTenantKeyStatement, [key.tenantId, key.version, key.wrapped, toRfc3339(key.at)])
}

const findTenantKeyStatement = statement<TenantKeyRow>(
  'keys.find-tenant-key',
  `select version, wrapped_key_encrypted as wrapped, state from tenant_key where tenant_id = $1 and version = $2`,
)

export async function findTenantKey(tx: Tx, tenantId: string, version: number): Promise<TenantKeyRow | undefined> {
  return (await tx.rows(findTenantKeyStatement, [tenantId, version]))[0]
}

const findPrimaryTenantKeyStatement = statement<TenantKeyRow>(
  'keys.find-primary-tenant-key',
  `select version, wrapped_key_encrypted as wrapped, state from tenant_key where tenant_id = $1 and state = 'primary'`,
)

export async function findPrimaryTenantKey(tx: Tx, tenantId: string): Promise<TenantKeyRow | undefined> {
  return (await tx.rows(findPrimaryTenantKeyStatement, [tenantId]))[0]
}

const insertConversationKeyStatement = statement(
  'keys.insert-conversation-key',
  `insert into conversation_key
     (tenant_id, conversation_id, epoch, wrapped_key_encrypted, tenant_key_version, subject_user_id, state, created_at)
   values ($1, $2, $3, $4, $5, $6, 'primary', $7)`,
)

export async function insertConversationKey(
  tx: Tx,
  key: {
    readonly tenantId: string
    readonly conversationId: string
    readonly epoch: number
    readonly wrapped: Uint8Array
    readonly tenantKeyVersion: number
    readonly subjectUserId: string | null
    readonly at: Instant
  },
): Promise<void> {
  await tx.run(insertConversationKeyStatement, [
    key.tenantId,
    key.conversationId,
    key.epoch,
    key.wrapped,
    key.tenantKeyVersion,
    key.subjectUserId,
    toRfc3339(key.at),
  ])
}

const conversationKeyColumns = 'epoch, wrapped_key_encrypted as wrapped, tenant_key_version, subject_user_id, state'

const findConversationKeyStatement = statement<ConversationKeyRow>(
  'keys.find-conversation-key',
  `select ${conversationKeyColumns} from conversation_key where tenant_id = $1 and conversation_id = $2 and epoch = $3`,
)

export async function findConversationKey(
  tx: Tx,
  tenantId: string,
  conversationId: string,
  epoch: number,
): Promise<ConversationKeyRow | undefined> {
  return (await tx.rows(findConversationKeyStatement, [tenantId, conversationId, epoch]))[0]
}

const lockPrimaryConversationKeyStatement = statement<ConversationKeyRow>(
  'keys.lock-primary-conversation-key',
  `select ${conversationKeyColumns} from conversation_key
   where tenant_id = $1 and conversation_id = $2 and state = 'primary' for update`,
)

export async function lockPrimaryConversationKey(
  tx: Tx,
  tenantId: string,
  conversationId: string,
): Promise<ConversationKeyRow | undefined> {
  return (await tx.rows(lockPrimaryConversationKeyStatement, [tenantId, conversationId]))[0]
}

const updateConversationKeyStateStatement = statement(
  'keys.update-conversation-key-state',
  `update conversation_key set state = $4 where tenant_id = $1 and conversation_id = $2 and epoch = $3`,
)

export async function updateConversationKeyState(
  tx: Tx,
  tenantId: string,
  conversationId: string,
  epoch: number,
  state: Exclude<KeyState, 'destroyed'>,
): Promise<void> {
  await tx.run(updateConversationKeyStateStatement, [tenantId, conversationId, epoch, state])
}

const insertAuditKeysStatement = statement(
  'keys.insert-audit-keys',
  `insert into audit_key (tenant_id, bucket, epoch, wrapped_key_encrypted, tenant_key_version, state, created_at)
   select $1, bucket, $2, wrapped, $3, 'primary', $4 from unnest($5::smallint[], $6::bytea[]) as new_key (bucket, wrapped)`,
)

export async function insertAuditKeys(
  tx: Tx,
  keys: {
    readonly tenantId: string
    readonly epoch: number
    readonly tenantKeyVersion: number
    readonly at: Instant
    readonly buckets: readonly { readonly bucket: number; readonly wrapped: Buffer }[]
  },
): Promise<void> {
  await tx.run(insertAuditKeysStatement, [
    keys.tenantId,
    keys.epoch,
    keys.tenantKeyVersion,
    toRfc3339(keys.at),
    keys.buckets.map(({ bucket }) => bucket),
    keys.buckets.map(({ wrapped }) => wrapped),
  ])
}

const findAuditKeyStatement = statement<AuditKeyRow>(
  'keys.find-audit-key',
  `select epoch, wrapped_key_encrypted as wrapped, tenant_key_version, state from audit_key
   where tenant_id = $1 and bucket = $2 and epoch = $3`,
)

export async function findAuditKey(
  tx: Tx,
  tenantId: string,
  bucket: number,
  epoch: number,
): Promise<AuditKeyRow | undefined> {
  return (await tx.rows(findAuditKeyStatement, [tenantId, bucket, epoch]))[0]
}
