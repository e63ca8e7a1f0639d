/** The door of the audit room. */
export type { AuditItem, AuditRecord } from './audit-event.model.ts'
export { auditRoutes } from './audit.routes.ts'
export { recordAudit, recordAuditItems, type AuditIndex, type AuditKeys, type RecordDeps } from './record-audit.ts'
export { createRefusals, type Refusal, type Refusals } from './record-refusal.ts'
