import type { InputOf, Operations, ReplyOf } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { pageOfRows, readIdCursor } from './id-cursor.model.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { outsideTx } from './open-name.ts'
import { renderTeam } from './render-user.ts'
import { listTeams as listStoredTeams } from './team-store.ts'

/**
 * The teams of the tenant.
 *
 * @throws access/denied 403 · platform/invalid-input 400 (a page key that is not one)
 * @effects audit `team.list`
 */
export async function listTeams(
  deps: Pick<IdentityDeps, 'db' | 'access' | 'audit' | 'keys' | 'sealer'>,
  ctx: Ctx,
  input: InputOf<Operations['listTeams']>,
): Promise<ReplyOf<Operations['listTeams']>> {
  const { tenantId } = ctx
  const afterTeamId = readIdCursor(input.after)
  const page = await deps.db.withTx(scopeOf(ctx), async (tx) => {
    const grant = await deps.access.authorize(tx, ctx, 'team.list')
    const rows = await listStoredTeams(tx, grant, tenantId, afterTeamId, input.limit + 1)
    const page = pageOfRows(rows, input.limit, (row) => row.team_id)
    await deps.audit.record(tx, ctx, { action: 'team.list', details: { teams: page.items.length } })
    return page
  })
  const of = { tenantId, access: outsideTx(deps.db, tenantId) }
  return { items: await Promise.all(page.items.map((team) => renderTeam(deps, of, team))), next: page.next }
}
