import type { InputOf, Operations, ReplyOf } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { isUniqueViolation } from '../../platform/db/errors.ts'
import type { Tx } from '../../platform/db/tx.ts'
import { problem } from '../../platform/problem/problem.ts'
import type { AuditRecord } from '../audit/index.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { indexLogin, openName, outsideTx, sealName } from './open-name.ts'
import { renderUser } from './render-user.ts'
import { listTeamsOfUsers, setTeamsOfUser } from './team-store.ts'
import { unknownTeam } from './update-user.ts'
import { subjectOf, type StoredTeamOfUser } from './user.model.ts'
import { findUser, insertUser, LOGIN_KEY, type ExistingUser, type NewUser } from './user-store.ts'

type CreateUserDeps = Pick<IdentityDeps, 'db' | 'clock' | 'access' | 'audit' | 'keys' | 'sealer'>
type Input = InputOf<Operations['createUser']>

/**
 * Creates a user, who signs in after redeeming a link. The id is the client's, so a repeat changes nothing and answers the
 * same; another user under the same id is a conflict.
 *
 * @throws access/denied 403 · identity/login-taken 409 · identity/id-taken 409 · platform/invalid-input 400 (unknown team)
 * @effects the patient's subject key; app_user, team_member, audit `user.create`, in one transaction
 * @control 45 CFR 164.312(a)(2)(i), 164.308(a)(3)(ii)(A)
 */
export async function createUser(
  deps: CreateUserDeps,
  ctx: Ctx,
  input: Input,
): Promise<ReplyOf<Operations['createUser']>> {
  const { tenantId } = ctx
  // Who may not create a user makes no keys either, and no keyring is asked while a transaction waits.
  await deps.db.withTx(scopeOf(ctx), (tx) => deps.access.authorize(tx, ctx, 'user.create'))
  const user = await sealUser(deps, ctx, input)
  const stored = await deps.db
    .withTx(scopeOf(ctx), (tx) => store(deps, tx, ctx, input, user))
    .catch((error: unknown) => {
      throw isUniqueViolation(error, LOGIN_KEY) ? problem('identity/login-taken') : unknownTeam(error)
    })
  if (!stored.isNew) {
    if (!(await isSame(deps, ctx, input, user, stored)))
      throw problem('identity/id-taken', { subjectUserId: subjectOf(stored.user) })
    await deps.db.withTx(scopeOf(ctx), (tx) => deps.audit.record(tx, ctx, recordOf(input, true)))
  }
  return renderUser(deps, { tenantId, access: outsideTx(deps.db, tenantId) }, stored.user, stored.teams)
}

function recordOf({ userId, role }: Input, isRepeat: boolean): AuditRecord {
  return {
    action: 'user.create',
    resource: { type: 'user', id: userId },
    subjectUserId: role === 'patient' ? userId : null,
    details: { role, isRepeat },
  }
}

async function sealUser(deps: CreateUserDeps, ctx: Ctx, input: Input): Promise<NewUser> {
  const { tenantId } = ctx
  const { userId, login, displayName, role } = input
  const subjectUserId = role === 'patient' ? userId : null
  if (subjectUserId !== null) await deps.keys.createSubjectKey({ tenantId, subjectUserId })
  const access = outsideTx(deps.db, tenantId)
  const of = { tenantId, id: userId, subjectUserId }
  return {
    tenantId,
    userId,
    loginIndex: await indexLogin(deps, access, tenantId, login),
    loginEncrypted: await sealName(deps, access, { ...of, kind: 'login' }, login),
    displayNameEncrypted: await sealName(deps, access, { ...of, kind: 'user' }, displayName),
    role,
    at: deps.clock.now(),
  }
}

/** What stands under a known id is judged before anything is recorded: only a repeat is a success. */
async function store(deps: CreateUserDeps, tx: Tx, ctx: Ctx, input: Input, user: NewUser) {
  const { tenantId } = ctx
  const { userId, teamIds } = input
  const grant = await deps.access.authorize(tx, ctx, 'user.create')
  const isNew = await insertUser(tx, grant, user)
  if (isNew) {
    await setTeamsOfUser(tx, grant, { tenantId, userId, teamIds, at: user.at })
    await deps.audit.record(tx, ctx, recordOf(input, false))
  }
  const [stored, teams] = await Promise.all([
    findUser(tx, grant, tenantId, userId),
    listTeamsOfUsers(tx, tenantId, [userId]),
  ])
  return { isNew, user: stored!, teams }
}

async function isSame(
  deps: CreateUserDeps,
  { tenantId }: Ctx,
  input: Input,
  user: NewUser,
  stored: { readonly user: ExistingUser; readonly teams: readonly StoredTeamOfUser[] },
): Promise<boolean> {
  const existing = stored.user
  const teamIds = new Set(stored.teams.map((team) => team.team_id))
  const asked = new Set(input.teamIds)
  if (teamIds.size !== asked.size || [...asked].some((teamId) => !teamIds.has(teamId))) return false
  if (existing.role !== input.role || !existing.login_index.equals(user.loginIndex)) return false
  const subjectUserId = input.role === 'patient' ? input.userId : null
  const of = { tenantId, kind: 'user', id: input.userId, subjectUserId } as const
  const name = await openName(deps, outsideTx(deps.db, tenantId), of, existing.display_name_encrypted)
  return name.reveal() === input.displayName
}
