import type { AuditAction, AuditEvent, AuditOutcome, UserId } from '@sotto/protocol'
import type { AnonymousCtx, Ctx } from '../../platform/context/context.ts'
import { toRfc3339, type Instant } from '../../platform/time/clock.ts'

/** What an operation says about its act; who, when and from where come from its context. */
export interface AuditRecord {
  readonly action: AuditAction
  readonly outcome?: AuditOutcome
  /** The true reason of a refusal. */
  readonly code?: string
  readonly resource?: { readonly type: string; readonly id: string }
  /** The patient whom the act concerns. */
  readonly subjectUserId?: UserId | null
  readonly details?: Readonly<Record<string, string | number | boolean | readonly string[]>>
  readonly count?: number
}

export interface AuditItem {
  readonly ctx: Ctx | AnonymousCtx
  readonly record: AuditRecord
}

/** The event as it is committed to: a closed shape of strings, safe integers, booleans and lists of strings. */
export function buildAuditEvent(auditEventId: string, at: Instant, { ctx, record }: AuditItem): AuditEvent {
  return {
    auditEventId: auditEventId as AuditEvent['auditEventId'],
    at: toRfc3339(at),
    action: record.action,
    outcome: record.outcome ?? 'success',
    code: record.code ?? null,
    actor: {
      userId: ctx.userId,
      role: ctx.role,
      deviceId: ctx.deviceId,
      sessionId: ctx.sessionId,
      address: ctx.address,
    },
    resource: record.resource ?? null,
    subjectUserId: record.subjectUserId ?? null,
    purpose: ctx.purpose,
    requestId: ctx.requestId,
    count: record.count ?? 1,
    details: (record.details ?? {}) as AuditEvent['details'],
  }
}
