/** The door of the audit room. */
export { createAudit, type Audit } from './audit.ts'
export type { AuditItem, AuditRecord } from './audit-event.model.ts'
export { auditRoutes } from './audit.routes.ts'
export { listAuditEventsAsOperator, type AuditReadDeps, type OperatorQuery } from './list-audit-events.ts'
export type { AuditIndex, AuditKeys, RecordDeps } from './record-audit.ts'
export type { Refusal } from './refusals.ts'
