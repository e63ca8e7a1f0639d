import type { InputOf, Operations } from '@sotto/protocol'
import type { Ctx } from '../../platform/context/context.ts'
import { getAuditEvent } from './get-audit-event.ts'
import { listAuditEvents, type AuditReadDeps } from './list-audit-events.ts'

/** The operations of this room by their ids, for the edges. */
export function auditRoutes(deps: AuditReadDeps) {
  return {
    listAuditEvents: (ctx: Ctx, input: InputOf<Operations['listAuditEvents']>) => listAuditEvents(deps, ctx, input),
    getAuditEvent: (ctx: Ctx, input: InputOf<Operations['getAuditEvent']>) => getAuditEvent(deps, ctx, input),
  }
}
