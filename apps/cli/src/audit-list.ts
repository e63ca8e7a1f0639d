import { auditActionSchema, auditOutcomeSchema, type AuditEvent } from '@sotto/protocol'
import { loadConfig, withComposition } from '@sotto/server'
import { CommandRefused } from './explain.ts'

interface AuditListOptions {
  readonly tenant?: string
  readonly action?: string
  readonly outcome?: string
  readonly limit: string
  readonly json?: boolean
}

/** Lists a tenant's audit events for an operator with access to database and keyring. The look is recorded in that trail. */
export async function auditList(options: AuditListOptions): Promise<void> {
  const limit = Number(options.limit)
  if (!Number.isInteger(limit) || limit < 1 || limit > 10_000)
    throw new CommandRefused('--limit is a whole number from 1 to 10000.')
  const action = options.action === undefined ? undefined : parse(auditActionSchema, '--action', options.action)
  const outcome = options.outcome === undefined ? undefined : parse(auditOutcomeSchema, '--outcome', options.outcome)
  await withComposition(
    loadConfig(),
    { mayCreateKeyring: false },
    async ({ identity, listAuditEventsAsOperator, ids }) => {
      const tenantId = options.tenant === undefined ? undefined : await identity.findTenantId(options.tenant)
      if (options.tenant !== undefined && tenantId === undefined)
        throw new CommandRefused(`There is no tenant ${options.tenant}.`)
      const events = await listAuditEventsAsOperator(
        { requestId: ids.next<string>(), address: null },
        { tenantId, action, outcome, limit },
      )
      for (const event of events) process.stdout.write(options.json ? `${JSON.stringify(event)}\n` : renderEvent(event))
    },
  )
}

function parse<T>(
  schema: { safeParse(value: unknown): { readonly success: boolean; readonly data?: T } },
  option: string,
  value: string,
): T {
  const result = schema.safeParse(value)
  if (!result.success) throw new CommandRefused(`${option} ${value} is not one that Sotto records.`)
  return result.data as T
}

function renderEvent({
  at,
  action,
  outcome,
  code,
  actor,
  resource,
  subjectUserId,
  purpose,
  count,
}: AuditEvent): string {
  const who = actor.userId === null ? (actor.address ?? 'the system') : `${actor.role} ${actor.userId}`
  const what = resource === null ? '' : ` on ${resource.type} ${resource.id}`
  const whom = subjectUserId === null ? '' : ` about ${subjectUserId}`
  const how =
    outcome === 'success' ? '' : ` ${outcome}${code === null ? '' : ` (${code})`}${count > 1 ? ` ×${count}` : ''}`
  return `${at}  ${action}${how}  ${who}${what}${whom}  ${purpose}\n`
}
