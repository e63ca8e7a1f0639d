import type { ConversationId, Role, TenantId, UserId } from '@sotto/protocol'
import type { KeyObject } from 'node:crypto'
import type { AnonymousCtx, Ctx } from '../../platform/context/context.ts'
import type { DataKey } from '../../platform/crypto/envelope.ts'
import type { Tx } from '../../platform/db/tx.ts'
import type { Ids } from '../../platform/ids/ids.ts'
import type { Phi } from '../../platform/phi/phi.ts'
import type { Access } from '../access/index.ts'
import type { AuditRecord } from '../audit/index.ts'
import type { KeyAccess, SubjectRef } from '../keys/index.ts'
import type { Appender } from './append.ts'
import type { AppendDeps } from './append-batch.ts'
import type { ConversationKeys } from './render-entry.ts'

/** A user as rosters show one. */
export interface RosterName {
  readonly displayName: Phi<string>
  readonly role: Role
  readonly active: boolean
}

/** What this room needs of its neighbours; `main/compose.ts` joins them. */
export interface ConversationDeps extends AppendDeps {
  readonly ids: Ids
  readonly access: Access
  readonly appender: Appender
  readonly keys: ConversationKeys & {
    /** A first data key of a conversation. @returns the key of epoch 1 */
    createConversationKey(
      tx: Tx,
      tenantId: TenantId,
      conversationId: ConversationId,
      subjectUserId: UserId | null,
    ): Promise<DataKey>
    /** A new epoch: what was sealed before stays readable. @returns the new key */
    rotateConversationKey(tx: Tx, tenantId: TenantId, conversationId: ConversationId): Promise<DataKey>
    getIndexKey(access: KeyAccess, tenantId: TenantId, purpose: 'idempotency'): Promise<KeyObject>
    /** false: the patient was erased. */
    hasSubjectKey(subject: SubjectRef): Promise<boolean>
  }
  recordAudit(tx: Tx, ctx: Ctx | AnonymousCtx, records: AuditRecord | readonly AuditRecord[]): Promise<void>
  /** Active users among these, with what a roster shows. */
  findUserNames(tx: Tx, tenantId: TenantId, userIds: readonly UserId[]): Promise<ReadonlyMap<UserId, RosterName>>
}
