import type { InputOf, Operations, TenantId } from '@sotto/protocol'
import { anonymous, scopeOf, type AnonymousCtx, type Origin } from '../../platform/context/context.ts'
import type { Tx } from '../../platform/db/tx.ts'
import { problem, type Problem } from '../../platform/problem/problem.ts'
import { toRfc3339 } from '../../platform/time/clock.ts'
import { contextOf } from './claims.model.ts'
import { newBearer, parseBearer, type Bearer } from './bearer.model.ts'
import { updateDeviceSeen } from './device-store.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { sessionEnded } from './identity.events.ts'
import { outsideTx } from './open-name.ts'
import { insertRefreshToken, lockRefresh, rotateRefresh, type StoredRefresh } from './refresh-store.ts'
import { renderUser } from './render-user.ts'
import type { SignedInResult } from './signed-in.model.ts'
import { judgeRefresh, renderSession, whyOver } from './session.model.ts'
import { endSessions } from './session-store.ts'
import { issueAccessToken, refused } from './prepare-session.ts'
import { listTeamsOfUsers } from './team-store.ts'
import { findTenant } from './tenant-store.ts'
import { subjectOf, type StoredTeamOfUser } from './user.model.ts'

type RefreshSessionDeps = Pick<
  IdentityDeps,
  'db' | 'clock' | 'random' | 'limits' | 'keys' | 'sealer' | 'accessTokens' | 'audit' | 'bus' | 'activity'
>
type Input = InputOf<Operations['refreshSession']>

/** What was found behind the token, decided and committed. */
type Outcome =
  | { readonly kind: 'refreshed'; readonly stored: StoredRefresh; readonly teams: readonly StoredTeamOfUser[] }
  | { readonly kind: 'over'; readonly reason: string }
  | { readonly kind: 'reuse'; readonly stored: StoredRefresh }
  | { readonly kind: 'unknown'; readonly isTenant: boolean }

/**
 * Exchanges a refresh token for a new pair. Each token is good once, and for a short grace after that, so that an answer
 * that got lost and a second tab are no reason to sign in anew. A token that comes back later ends the session: either
 * the owner or a thief holds a copy, and nobody can tell which (RFC 9700 §4.14.2). Refreshing is not activity.
 *
 * @throws identity/refresh-invalid 401 · identity/session-ended 401
 * @effects session, refresh_token, device, audit `session.refresh`; on reuse audit `session.end`, hint `session.ended`
 * @control 45 CFR 164.312(d), 164.312(a)(2)(iii)
 */
export async function refreshSession(deps: RefreshSessionDeps, origin: Origin, input: Input): Promise<SignedInResult> {
  const presented = parseBearer(input.refreshToken ?? '')
  if (presented === undefined) throw await refuse(deps, anonymous(origin), 'not-a-refresh-token')
  const { tenantId } = presented
  const next = newBearer(deps.random, tenantId)
  const outcome = await deps.db.withTx(scopeOf({ tenantId }), (tx) => exchange(deps, tx, origin, presented, next))
  const ctx = anonymous(origin, tenantId)
  switch (outcome.kind) {
    case 'unknown':
      throw await refuse(deps, outcome.isTenant ? ctx : anonymous(origin), 'unknown-refresh-token')
    case 'over':
      throw await refused(
        deps,
        ctx,
        { action: 'session.refresh' },
        problem('identity/session-ended', { trueReason: outcome.reason }),
      )
    case 'reuse':
      deps.bus.publish(sessionEnded, { tenantId, sessionIds: [outcome.stored.session_id], reason: 'refresh-reuse' })
      throw await refuse(deps, ctx, 'refresh-reuse', outcome.stored)
    case 'refreshed':
      return render(deps, tenantId, next, outcome)
  }
}

async function exchange(
  deps: RefreshSessionDeps,
  tx: Tx,
  origin: Origin,
  presented: { readonly tenantId: TenantId; readonly hash: Buffer },
  next: Bearer,
): Promise<Outcome> {
  const { tenantId, hash: tokenHash } = presented
  const [tenant, stored] = await Promise.all([findTenant(tx, tenantId), lockRefresh(tx, tenantId, tokenHash)])
  if (stored === undefined) return { kind: 'unknown', isTenant: tenant !== undefined }
  const at = deps.clock.now()
  const reason = whyOver(stored, deps.limits, at, deps.activity.lastActAt(stored.session_id))
  if (reason !== undefined) return { kind: 'over', reason }

  const { session_id: sessionId, user_id: userId, device_id: deviceId, absolute_expires_at: expiresAt } = stored
  const token = { ...stored, currentGeneration: stored.refresh_generation, rotatedAt: stored.refresh_rotated_at }
  const verdict = judgeRefresh(token, deps.limits.refreshGraceSeconds, at)
  const ctx = contextOf({ tenantId, userId, deviceId, sessionId, role: stored.role }, origin)
  const resource = { type: 'session', id: sessionId }
  if (verdict === 'reuse') {
    await Promise.all([
      endSessions(tx, { tenantId, userId, onlySessionId: sessionId, reason: 'refresh-reuse', at }),
      // Not in the user's name: who presented the token is just what is in doubt.
      deps.audit.record(tx, anonymous(origin, tenantId), {
        action: 'session.end',
        resource,
        details: { reason: 'refresh-reuse' },
      }),
    ])
    return { kind: 'reuse', stored }
  }
  const generation = verdict === 'rotate' ? stored.refresh_generation + 1 : stored.refresh_generation
  const [teams] = await Promise.all([
    listTeamsOfUsers(tx, tenantId, [userId]),
    verdict === 'rotate' ? rotateRefresh(tx, { tenantId, sessionId, tokenHash }, generation, at) : undefined,
    insertRefreshToken(tx, { tenantId, sessionId, tokenHash: next.hash, generation, at, expiresAt }),
    updateDeviceSeen(tx, tenantId, deviceId, at),
    deps.audit.record(tx, ctx, {
      action: 'session.refresh',
      resource,
      subjectUserId: subjectOf(stored),
      details: { isRepeat: verdict === 'repeat' },
    }),
  ])
  return { kind: 'refreshed', stored, teams }
}

async function render(
  deps: RefreshSessionDeps,
  tenantId: TenantId,
  next: Bearer,
  outcome: Extract<Outcome, { kind: 'refreshed' }>,
): Promise<SignedInResult> {
  const { stored, teams } = outcome
  const { session_id: sessionId, user_id: userId, device_id: deviceId, role } = stored
  const claims = { tenantId, userId, deviceId, sessionId, role }
  const issued = await issueAccessToken(deps, claims, deps.clock.now(), stored.absolute_expires_at)
  return {
    accessToken: issued.accessToken,
    accessTokenExpiresAt: toRfc3339(issued.accessTokenExpiresAt),
    refreshToken: next.token,
    deviceSecret: null,
    session: renderSession(stored, deps.limits, sessionId),
    user: await renderUser(deps, { tenantId, access: outsideTx(deps.db, tenantId) }, stored, teams),
  }
}

function refuse(
  deps: RefreshSessionDeps,
  ctx: AnonymousCtx,
  trueReason: string,
  stored?: StoredRefresh,
): Promise<Problem> {
  const resource = stored === undefined ? {} : { resource: { type: 'session', id: stored.session_id } }
  const answer = problem('identity/refresh-invalid', { trueReason })
  return refused(deps, ctx, { action: 'session.refresh', ...resource }, answer)
}
