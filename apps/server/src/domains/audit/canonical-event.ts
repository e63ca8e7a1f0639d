import type { AuditEvent } from '@sotto/protocol'
import { canonicalize } from '@sotto/transparency'

/** How JSON.stringify writes a lone surrogate. Text that merely contains these characters goes the long way, too. */
const MAYBE_ILL_FORMED = /\\ud[89a-f]/

/**
 * The canonical text (RFC 8785) of an event: that of `canonicalize`, several times faster, because every act of everybody
 * passes here. The names of an event are known, so they are written in their order, and what is left to canonical JSON is
 * done by JSON.stringify (RFC 8785 §3.2.2); what only the general writer can judge is left to it.
 *
 * @throws TypeError as `canonicalize` does
 */
export function canonicalEvent(event: AuditEvent): string {
  const { actor, resource } = event
  const before = JSON.stringify({
    action: event.action,
    actor: {
      address: actor.address,
      deviceId: actor.deviceId,
      role: actor.role,
      sessionId: actor.sessionId,
      userId: actor.userId,
    },
    at: event.at,
    auditEventId: event.auditEventId,
    code: event.code,
    count: event.count,
  })
  const after = JSON.stringify({
    outcome: event.outcome,
    purpose: event.purpose,
    requestId: event.requestId,
    resource: resource === null ? null : { id: resource.id, type: resource.type },
    subjectUserId: event.subjectUserId,
  })
  if (!Number.isSafeInteger(event.count) || MAYBE_ILL_FORMED.test(before) || MAYBE_ILL_FORMED.test(after))
    return canonicalize(event as never)
  return `${before.slice(0, -1)},"details":${canonicalize(event.details as never)},${after.slice(1)}`
}
