import type { InputOf, Operations, ReplyOf } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { problem } from '../../platform/problem/problem.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { outsideTx, sealName } from './open-name.ts'
import { renderTeam } from './render-user.ts'
import { findTeam, insertTeam } from './team-store.ts'

/**
 * Creates a team. The id is the client's, so a repeat changes nothing; another name under the same id is a conflict.
 *
 * @throws access/denied 403 · identity/id-taken 409
 * @effects team, audit `team.create`
 */
export async function createTeam(
  deps: Pick<IdentityDeps, 'db' | 'clock' | 'access' | 'audit' | 'keys' | 'sealer'>,
  ctx: Ctx,
  { teamId, name }: InputOf<Operations['createTeam']>,
): Promise<ReplyOf<Operations['createTeam']>> {
  const { tenantId } = ctx
  const access = outsideTx(deps.db, tenantId)
  const nameEncrypted = await sealName(deps, access, { tenantId, kind: 'team', id: teamId, subjectUserId: null }, name)
  const record = (isRepeat: boolean) => ({
    action: 'team.create' as const,
    resource: { type: 'team', id: teamId },
    details: { isRepeat },
  })
  const { isNew, existing } = await deps.db.withTx(scopeOf(ctx), async (tx) => {
    const grant = await deps.access.authorize(tx, ctx, 'team.create')
    const isNew = await insertTeam(tx, grant, { tenantId, teamId, nameEncrypted, at: deps.clock.now() })
    if (isNew) await deps.audit.record(tx, ctx, record(false))
    return { isNew, existing: (await findTeam(tx, grant, tenantId, teamId))! }
  })
  const team = await renderTeam(deps, { tenantId, access }, existing)
  if (team.name !== name) throw problem('identity/id-taken')
  // What stands under a known id is judged before anything is recorded: only a repeat is a success.
  if (!isNew) await deps.db.withTx(scopeOf(ctx), (tx) => deps.audit.record(tx, ctx, record(true)))
  return team
}
