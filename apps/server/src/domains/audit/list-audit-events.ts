import type { AuditAction, AuditEvent, AuditOutcome, InputOf, Operations, ReplyOf, TenantId } from '@sotto/protocol'
import { anonymous, scopeOf, type Ctx, type Origin } from '../../platform/context/context.ts'
import { SealBroken } from '../../platform/crypto/envelope.ts'
import type { Sealer } from '../../platform/crypto/seal.ts'
import { keyedHash } from '../../platform/crypto/primitives.ts'
import type { Db, Tx } from '../../platform/db/tx.ts'
import { birthOf } from '../../platform/ids/ids.ts'
import { Problem, problem } from '../../platform/problem/problem.ts'
import { instant, toRfc3339 } from '../../platform/time/clock.ts'
import type { Access } from '../access/index.ts'
import { listAuditRows, type AuditFilter, type StoredAuditEvent } from './audit-store.ts'
import { AuditEventBroken, openAuditEvent } from './open-audit-event.ts'
import { recordAudit, type AuditIndex, type RecordDeps } from './record-audit.ts'

export interface AuditReadDeps extends RecordDeps {
  readonly db: Db
  readonly access: Access
  readonly sealer: Sealer
}

type Input = InputOf<Operations['listAuditEvents']>

/**
 * Searches the trail of the caller's tenant, newest first. The search is itself an act: who looked for whom is recorded
 * with the filter before anything is returned.
 *
 * @throws access/denied 403 · platform/invalid-input 400 (a page key that is not one)
 * @effects audit `audit-event.list`
 */
export async function listAuditEvents(
  deps: AuditReadDeps,
  ctx: Ctx,
  input: Input,
): Promise<ReplyOf<Operations['listAuditEvents']>> {
  return deps.db.withTx(scopeOf(ctx), async (tx) => {
    await deps.access.authorize(tx, ctx, 'audit-event.list')
    const rows = await listAuditRows(tx, ctx.tenantId, await toFilter(deps, tx, ctx, input))
    const page = rows.slice(0, input.limit)
    const items = await Promise.all(page.map((row) => readAuditEvent(deps, tx, ctx, row)))
    await recordAudit(deps, tx, ctx, {
      action: 'audit-event.list',
      subjectUserId: input.subjectUserId ?? null,
      details: { ...filterDetails(input), ...countsOf(items) },
    })
    return { items, next: rows.length > input.limit ? (page.at(-1)?.audit_event_id ?? null) : null }
  })
}

/** How many were shown; that some were broken stands in the trail from then on. */
function countsOf(events: readonly AuditEvent[]): Readonly<Record<string, number>> {
  const broken = events.filter((event) => event.details['broken'] === true).length
  return { events: events.length, ...(broken > 0 ? { broken } : {}) }
}

/** What an operator at the command line asks, who has database and keyring in hand and no session. */
export interface OperatorQuery {
  /** undefined: the deployment's own events, those of no tenant. */
  readonly tenantId: TenantId | undefined
  readonly action: AuditAction | undefined
  readonly outcome: AuditOutcome | undefined
  readonly limit: number
}

/**
 * The newest events of a tenant, for an operator. There is nobody to authorise, and the look is recorded all the same.
 *
 * @effects audit `audit-event.list` of that tenant, by nobody, from the command line
 */
export async function listAuditEventsAsOperator(
  deps: RecordDeps & { readonly db: Db },
  origin: Origin,
  { tenantId, ...query }: OperatorQuery,
): Promise<readonly AuditEvent[]> {
  const ctx = anonymous(origin, tenantId)
  return deps.db.withTx(scopeOf(ctx), async (tx) => {
    const rows = await listAuditRows(tx, ctx.tenantId, {
      ...(await toFilter(deps, tx, ctx, query as never)),
      limit: query.limit,
    })
    const events = await Promise.all(rows.map((row) => readAuditEvent(deps, tx, ctx, row)))
    await recordAudit(deps, tx, ctx, { action: 'audit-event.list', details: { operator: true, ...countsOf(events) } })
    return events
  })
}

async function toFilter(
  deps: RecordDeps,
  tx: Tx,
  ctx: { readonly tenantId: TenantId },
  input: Omit<Input, 'limit'> & { readonly limit: number },
): Promise<AuditFilter> {
  const index = async (purpose: AuditIndex, id: string | undefined) =>
    id === undefined ? null : keyedHash(await deps.keys.getIndexKey(tx, ctx.tenantId, purpose), id)
  return {
    actorIndex: await index('audit-actor', input.actorUserId),
    subjectIndex: await index('audit-subject', input.subjectUserId),
    resourceIndex: await index('audit-resource', input.resourceId),
    class: input.action ?? null,
    outcome: input.outcome ?? null,
    from: input.from === undefined ? null : instant(Date.parse(input.from)),
    to: input.to === undefined ? null : instant(Date.parse(input.to)),
    before: input.after === undefined ? null : pageKey(input.after),
    limit: input.limit + 1,
  }
}

function pageKey(after: string) {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(after)) {
    throw problem('platform/invalid-input', { errors: [{ pointer: '/after', message: 'not the `next` of a page' }] })
  }
  return { at: birthOf(after), auditEventId: after }
}

function filterDetails(input: Input): Record<string, string> {
  const { actorUserId, resourceId, action, outcome, from, to } = input
  const given = Object.entries({ actorUserId, resourceId, action, outcome, from, to }).filter(
    ([, value]) => value !== undefined,
  )
  return Object.fromEntries(given) as Record<string, string>
}

/**
 * An event whose body was erased, or whose key was destroyed, still stands: with its class, its outcome and its instant.
 * One that is not what was recorded, or whose key is not, says so in its place, and hides none of the others: whoever tampered with one row must
 * not take the search from the compliance officer.
 */
export async function readAuditEvent(
  deps: RecordDeps,
  tx: Tx,
  ctx: { readonly tenantId: TenantId },
  row: StoredAuditEvent,
): Promise<AuditEvent> {
  if (row.body_encrypted === null) return rowOnly(row, { erased: true })
  try {
    const key = await deps.keys.getAuditKey(tx, ctx.tenantId, row.subject_user_id)
    return openAuditEvent(deps.sealer, ctx.tenantId, key, row)
  } catch (error) {
    if (error instanceof Problem && error.code === 'keys/unreadable') return rowOnly(row, { erased: true })
    if (error instanceof AuditEventBroken || error instanceof SealBroken) return rowOnly(row, { broken: true })
    throw error
  }
}

function rowOnly(row: StoredAuditEvent, details: AuditEvent['details']): AuditEvent {
  return {
    auditEventId: row.audit_event_id as AuditEvent['auditEventId'],
    at: toRfc3339(row.created_at),
    action: row.class,
    outcome: row.outcome,
    code: null,
    actor: { userId: null, role: null, deviceId: null, sessionId: null, address: null },
    resource: null,
    subjectUserId: null,
    purpose: 'HCOMPL',
    requestId: '',
    count: 1,
    details,
  }
}
