import type { InputOf, Operations, ReplyOf, SessionId } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { StatementFailed } from '../../platform/db/errors.ts'
import type { Tx } from '../../platform/db/tx.ts'
import type { Grant } from '../../platform/grant/grant.ts'
import { problem } from '../../platform/problem/problem.ts'
import type { TenantId } from '@sotto/protocol'
import type { IdentityDeps } from './identity.deps.ts'
import { sessionEnded } from './identity.events.ts'
import { outsideTx, sealName } from './open-name.ts'
import { expireLinks } from './link-store.ts'
import { renderUser } from './render-user.ts'
import type { EndReason } from './session.model.ts'
import { endSessions } from './session-store.ts'
import { listTeamsOfUsers, setTeamsOfUser, TEAM_FKEY } from './team-store.ts'
import { mayTurnInto, subjectOf, type StoredUser } from './user.model.ts'
import { lockUser, updateUser as updateStoredUser } from './user-store.ts'

type UpdateUserDeps = Pick<IdentityDeps, 'db' | 'clock' | 'access' | 'audit' | 'keys' | 'sealer' | 'bus'>
type Input = InputOf<Operations['updateUser']>

/**
 * Renames a user, changes the role or the teams, or deactivates. A user whose role changed signs in anew; a deactivated one
 * has no session, token, ticket, link or socket from then on, and comes back to none of them when activated again.
 *
 * @throws access/denied 403 · access/not-found 404 · identity/last-administrator 409 · platform/invalid-input 400 (an unknown
 *         team; a patient who would become staff, or staff a patient: `user.model.ts` says why)
 * @effects app_user, team_member, session, sign_in_link, audit `user.update`, in one transaction; hint `session.ended`
 * @control 45 CFR 164.308(a)(3)(ii)(C), 164.308(a)(4)(ii)(C)
 */
export async function updateUser(
  deps: UpdateUserDeps,
  ctx: Ctx,
  input: Input,
): Promise<ReplyOf<Operations['updateUser']>> {
  const { tenantId } = ctx
  const newName = await sealNewName(deps, ctx, input)
  const done = await deps.db
    .withTx(scopeOf(ctx), (tx) => apply(deps, tx, ctx, input, newName))
    .catch((error: unknown) => {
      throw unknownTeam(error)
    })
  const { user, teams, sessionIds, reason } = done
  if (sessionIds.length > 0) deps.bus.publish(sessionEnded, { tenantId, sessionIds, reason })
  return renderUser(deps, { tenantId, access: outsideTx(deps.db, tenantId) }, user, teams)
}

/** A name is sealed under keys that depend on the role, which never crosses the border to patients: a look is enough. */
async function sealNewName(deps: UpdateUserDeps, ctx: Ctx, input: Input): Promise<Buffer | undefined> {
  const { displayName, userId } = input
  if (displayName === undefined) return undefined
  const { tenantId } = ctx
  const user = await deps.db.withTx(scopeOf(ctx), async (tx) => {
    const grant = await deps.access.authorize(tx, ctx, 'user.update')
    return (await lockUser(tx, grant, tenantId, userId)).user
  })
  if (user === undefined) throw problem('access/not-found', { trueReason: 'no-such-user' })
  const of = { tenantId, kind: 'user', id: userId, subjectUserId: subjectOf(user) } as const
  return sealName(deps, outsideTx(deps.db, tenantId), of, displayName)
}

async function apply(deps: UpdateUserDeps, tx: Tx, ctx: Ctx, input: Input, newName: Buffer | undefined) {
  const { tenantId } = ctx
  const { userId, teamIds } = input
  const grant = await deps.access.authorize(tx, ctx, 'user.update')
  const { user: before, otherAdministrators } = await lockUser(tx, grant, tenantId, userId)
  if (before === undefined) throw problem('access/not-found', { trueReason: 'no-such-user' })
  const after: StoredUser = {
    ...before,
    role: input.role ?? before.role,
    active: input.active ?? before.active,
    display_name_encrypted: newName ?? before.display_name_encrypted,
  }
  checkChange(before, after, otherAdministrators)
  const at = deps.clock.now()
  await Promise.all([
    updateStoredUser(tx, grant, tenantId, after, at),
    teamIds === undefined ? undefined : setTeamsOfUser(tx, grant, { tenantId, userId, teamIds, at }),
  ])
  const reason = whyEnd(before, after)
  const [teams, sessionIds] = await Promise.all([
    listTeamsOfUsers(tx, tenantId, [userId]),
    reason === undefined ? [] : endAll(tx, grant, userId, reason, at),
    deps.audit.record(tx, ctx, {
      action: 'user.update',
      resource: { type: 'user', id: userId },
      subjectUserId: subjectOf(before),
      details: changesOf(input, before, after),
    }),
  ])
  return { user: after, teams, sessionIds, reason: reason ?? 'role-changed' } as const
}

function checkChange(before: StoredUser, after: StoredUser, otherAdministrators: number): void {
  if (!mayTurnInto(before.role, after.role)) {
    const message = 'a patient stays a patient, and staff stay staff: create another user'
    throw problem('platform/invalid-input', {
      errors: [{ pointer: '/role', message }],
      trueReason: 'role-crosses-patient',
    })
  }
  const isAdministrator = (user: StoredUser) => user.active && user.role === 'administrator'
  if (isAdministrator(before) && !isAdministrator(after) && otherAdministrators === 0) {
    throw problem('identity/last-administrator')
  }
}

function whyEnd(before: StoredUser, after: StoredUser): EndReason | undefined {
  if (!after.active) return 'user-deactivated'
  return before.role === after.role ? undefined : 'role-changed'
}

async function endAll(
  tx: Tx,
  grant: Grant<'user.update', TenantId>,
  userId: Input['userId'],
  reason: EndReason,
  at: Parameters<typeof expireLinks>[3],
): Promise<readonly SessionId[]> {
  const tenantId = grant.resourceId
  const [sessionIds] = await Promise.all([
    endSessions(tx, { tenantId, userId, reason, at }),
    reason === 'user-deactivated' ? expireLinks(tx, tenantId, userId, at) : undefined,
  ])
  return sessionIds
}

/** What changed, without names. */
function changesOf(input: Input, before: StoredUser, after: StoredUser) {
  return {
    changed: (['displayName', 'role', 'active', 'teamIds'] as const).filter((field) => input[field] !== undefined),
    roleBefore: before.role,
    roleAfter: after.role,
    activeBefore: before.active,
    activeAfter: after.active,
  }
}

/** The database's refusal of a team that does not exist, as the caller is told; any other error as it is. */
export function unknownTeam(error: unknown): unknown {
  if (!(error instanceof StatementFailed && error.constraint === TEAM_FKEY)) return error
  return problem('platform/invalid-input', { errors: [{ pointer: '/teamIds', message: 'there is no such team' }] })
}
