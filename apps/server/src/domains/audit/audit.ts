import type { TenantId } from '@sotto/protocol'
import type { AnonymousCtx, Ctx } from '../../platform/context/context.ts'
import type { Db, Tx } from '../../platform/db/tx.ts'
import type { AuditItem, AuditRecord } from './audit-event.model.ts'
import { recordAudit, recordAuditItems, type RecordDeps } from './record-audit.ts'
import { createRefusals, type Refusal } from './refusals.ts'

/** How the other rooms and the edges write to the trail. */
export interface Audit {
  /** In the transaction of the act: if this fails, the act fails. */
  record(tx: Tx, ctx: Ctx | AnonymousCtx, records: AuditRecord | readonly AuditRecord[]): Promise<void>
  /** The acts of many actors of one tenant, in one statement (group commit). */
  recordItems(tx: Tx, tenantId: TenantId, items: readonly AuditItem[]): Promise<void>
  /** In a transaction of its own; a flood of equal refusals is counted. @throws DatabaseUnavailable */
  recordRefusal(ctx: Ctx | AnonymousCtx, refusal: Refusal): Promise<void>
  /** Writes the counts of floods that are over; all of them when the server stops. */
  flushRefusals(all?: boolean): Promise<void>
}

export function createAudit(deps: RecordDeps & { readonly db: Db }): Audit {
  const refusals = createRefusals(deps)
  return {
    record: (tx, ctx, records) => recordAudit(deps, tx, ctx, records),
    recordItems: (tx, tenantId, items) => recordAuditItems(deps, tx, tenantId, items),
    recordRefusal: (ctx, refusal) => refusals.record(ctx, refusal),
    flushRefusals: (all) => refusals.flush(all),
  }
}
