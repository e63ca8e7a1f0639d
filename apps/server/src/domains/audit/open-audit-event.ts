import assert from 'node:assert/strict'
import type { AuditEvent, TenantId } from '@sotto/protocol'
import { AUDIT_SALT_BYTES, isCommitmentOf } from '@sotto/transparency'
import type { DataKey } from '../../platform/crypto/envelope.ts'
import type { Sealer } from '../../platform/crypto/seal.ts'
import type { StoredAuditEvent } from './audit-store.ts'
import { auditContext, hmacUnder } from './record-audit.ts'

/**
 * Opens an event and holds it against its commitment, so that a body that was exchanged in the database is noticed at
 * every reading, not only at a verification.
 *
 * @throws SealBroken, AssertionError when row and commitment do not belong together
 */
export function openAuditEvent(
  sealer: Sealer,
  tenantId: TenantId,
  bodyKey: DataKey,
  row: StoredAuditEvent,
): AuditEvent {
  assert(row.body_encrypted !== null, 'An erased body is not opened')
  const plain = sealer.open(bodyKey, auditContext(tenantId, row.audit_event_id), row.body_encrypted)
  const event = JSON.parse(plain.subarray(AUDIT_SALT_BYTES).toString('utf8')) as AuditEvent
  assert(
    isCommitmentOf(hmacUnder, plain.subarray(0, AUDIT_SALT_BYTES), event as never, row.commitment),
    'An audit event matches its commitment',
  )
  return event
}
