import type { KeyObject } from 'node:crypto'
import type { Limits, TenantId, UserId } from '@sotto/protocol'
import type { Bus } from '../../platform/bus/bus.ts'
import type { DataKey } from '../../platform/crypto/envelope.ts'
import type { Sealer } from '../../platform/crypto/seal.ts'
import type { Db, Tx } from '../../platform/db/tx.ts'
import type { Ids, Random } from '../../platform/ids/ids.ts'
import type { Clock } from '../../platform/time/clock.ts'
import type { Access } from '../access/index.ts'
import type { Audit } from '../audit/index.ts'
import type { KeyAccess, SubjectRef } from '../keys/index.ts'
import type { AccessTokens } from './claims.model.ts'
import type { Activity } from './activity.ts'
import type { PasswordHasher } from './password-hasher.ts'

/** What the room needs of the keys: the operations of the room `keys`, bound to their own dependencies. */
export interface IdentityKeys {
  getDirectoryKey(
    access: KeyAccess,
    input: { readonly tenantId: TenantId; readonly subjectUserId?: UserId | null; readonly epoch?: number },
  ): Promise<DataKey>
  getIndexKey(access: KeyAccess, tenantId: TenantId, purpose: 'login'): Promise<KeyObject>
  createSubjectKey(subject: SubjectRef): Promise<void>
  createTenantKeys(tx: Tx, tenantId: TenantId): Promise<void>
}

/** Everything the room needs; each operation takes the part that it uses. `main/compose.ts` makes one. */
export interface IdentityDeps {
  readonly db: Db
  readonly clock: Clock
  readonly random: Random
  readonly ids: Ids
  readonly bus: Bus
  readonly limits: Limits
  readonly access: Pick<Access, 'authorize' | 'authorizeDirectory'>
  readonly audit: Pick<Audit, 'record' | 'recordRefusal'>
  readonly keys: IdentityKeys
  readonly sealer: Sealer
  readonly passwords: PasswordHasher
  readonly accessTokens: AccessTokens
  readonly activity: Activity
}
