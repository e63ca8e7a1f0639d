import assert from 'node:assert/strict'
import type { AuditEvent, TenantId } from '@sotto/protocol'
import { AUDIT_SALT_BYTES, isCommitmentOf } from '@sotto/transparency'
import type { DataKey } from '../../platform/crypto/envelope.ts'
import type { Sealer } from '../../platform/crypto/seal.ts'
import type { StoredAuditEvent } from './audit-store.ts'
import { auditContext, hmacUnder } from './record-audit.ts'

/** What stands in the database is not what was recorded. */
export class AuditEventBroken extends Error {
  override readonly name = 'AuditEventBroken'
}

/**
 * Opens an event and holds it against its commitment and its row, so that what was exchanged in the database is noticed at
 * every reading, not only at a verification.
 *
 * @throws AuditEventBroken when body, commitment and row do not belong together
 */
export function openAuditEvent(
  sealer: Sealer,
  tenantId: TenantId,
  bodyKey: DataKey,
  row: StoredAuditEvent,
): AuditEvent {
  assert(row.body_encrypted !== null, 'An erased body is not opened')
  const plain = openBody(sealer, bodyKey, auditContext(tenantId, row.audit_event_id), row.body_encrypted)
  const event = JSON.parse(plain.subarray(AUDIT_SALT_BYTES).toString('utf8')) as AuditEvent
  const isWhole =
    isCommitmentOf(hmacUnder, plain.subarray(0, AUDIT_SALT_BYTES), event as never, row.commitment) &&
    event.auditEventId === row.audit_event_id &&
    event.action === row.class &&
    event.outcome === row.outcome
  if (!isWhole) throw new AuditEventBroken('An audit event does not match its row')
  return event
}

function openBody(sealer: Sealer, bodyKey: DataKey, context: readonly string[], sealed: Buffer): Buffer {
  try {
    return sealer.open(bodyKey, context, sealed)
  } catch (cause) {
    throw new AuditEventBroken('The body of an audit event does not open', { cause })
  }
}
