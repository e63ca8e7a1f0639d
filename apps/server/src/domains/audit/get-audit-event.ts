import type { AuditEvent, InputOf, Operations } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { birthOf } from '../../platform/ids/ids.ts'
import { problem } from '../../platform/problem/problem.ts'
import { findAuditRow } from './audit-store.ts'
import { readAuditEvent, type AuditReadDeps } from './list-audit-events.ts'
import { recordAudit } from './record-audit.ts'

/**
 * One audit event of the caller's tenant.
 *
 * @throws access/denied 403 · access/not-found 404
 * @effects audit `audit-event.get`
 */
export async function getAuditEvent(
  deps: AuditReadDeps,
  ctx: Ctx,
  input: InputOf<Operations['getAuditEvent']>,
): Promise<AuditEvent> {
  return deps.db.withTx(scopeOf(ctx), async (tx) => {
    await deps.access.authorize(tx, ctx, 'audit-event.get')
    const row = await findAuditRow(tx, ctx.tenantId, birthOf(input.auditEventId), input.auditEventId)
    if (row === undefined) throw problem('access/not-found')
    const event = await readAuditEvent(deps, tx, ctx, row)
    await recordAudit(deps, tx, ctx, {
      action: 'audit-event.get',
      resource: { type: 'audit-event', id: input.auditEventId },
      subjectUserId: event.subjectUserId,
    })
    return event
  })
}
