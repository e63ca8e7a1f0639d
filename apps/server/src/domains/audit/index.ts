/** The door of the audit room. */
export type { AuditItem, AuditRecord } from './audit-event.model.ts'
export { createAudit, type Audit } from './audit.ts'
export { auditRoutes } from './audit.routes.ts'
export { listAuditEventsAsOperator, type OperatorQuery } from './list-audit-events.ts'
export type { Refusal } from './refusals.ts'
