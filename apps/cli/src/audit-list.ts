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
  const { limit, action, outcome } = checkAuditList(options)
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

const LIMIT_MAX = 10_000

/** Every option that cannot be used, told at once. @throws CommandRefused, before anything is opened */
function checkAuditList({ limit, action, outcome }: AuditListOptions) {
  const count = /^\d{1,5}$/.test(limit) ? Number(limit) : 0
  const actions = auditActionSchema.optional().safeParse(action)
  const outcomes = auditOutcomeSchema.optional().safeParse(outcome)
  const problems = [
    ...(count >= 1 && count <= LIMIT_MAX ? [] : [`--limit is a whole number from 1 to ${LIMIT_MAX}`]),
    ...(actions.success ? [] : [`--action ${action} is none that Sotto records: see docs/reference/audit-actions.md`]),
    ...(outcomes.success ? [] : [`--outcome is one of ${auditOutcomeSchema.options.join(', ')}`]),
  ]
  if (problems.length > 0)
    throw new CommandRefused(`These options cannot be used:\n${problems.map((one) => `  - ${one}`).join('\n')}`)
  return { limit: count, action: actions.data, outcome: outcomes.data }
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
