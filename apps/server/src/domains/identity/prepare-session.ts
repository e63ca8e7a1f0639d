/** What every way to sign in shares: a device, a session, its first refresh token and its first access token. */

import type { DeviceId, InputOf, Operations, SessionId, TenantId } from '@sotto/protocol'
import type { AnonymousCtx, Ctx, Origin } from '../../platform/context/context.ts'
import type { Tx } from '../../platform/db/tx.ts'
import type { Secret } from '../../platform/phi/phi.ts'
import type { Problem } from '../../platform/problem/problem.ts'
import { instant, toRfc3339, type Instant } from '../../platform/time/clock.ts'
import type { Refusal } from '../audit/index.ts'
import { contextOf, type Claims } from './claims.model.ts'
import { newBearer, parseBearer, type Bearer } from './bearer.model.ts'
import { findOwnerOfProvenDevice, insertDevice, updateDeviceSeen } from './device-store.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { outsideTx, sealName } from './open-name.ts'
import { insertRefreshToken } from './refresh-store.ts'
import { renderUser } from './render-user.ts'
import type { SignedInResult } from './signed-in.model.ts'
import { absoluteExpiresAt, renderSession } from './session.model.ts'
import { insertSession } from './session-store.ts'
import { subjectOf, type StoredTeamOfUser, type StoredUser } from './user.model.ts'

type DeviceInput = InputOf<Operations['createSession']>['device']
type SignInDeps = Pick<
  IdentityDeps,
  'db' | 'clock' | 'random' | 'ids' | 'limits' | 'keys' | 'sealer' | 'accessTokens' | 'audit'
>

/** Everything that a new session needs, made before the transaction that stores it. */
export interface PreparedSession {
  /** The user as the actor of what follows. */
  readonly ctx: Ctx
  readonly user: StoredUser
  readonly at: Instant
  readonly absoluteExpiresAt: Instant
  readonly isNewDevice: boolean
  readonly deviceNameEncrypted: Buffer
  readonly deviceSecret: Bearer
  readonly refreshToken: Bearer
  readonly accessToken: Secret<string>
  readonly accessTokenExpiresAt: Instant
}

export async function prepareSession(
  deps: SignInDeps,
  origin: Origin,
  tenantId: TenantId,
  user: StoredUser,
  device: { readonly name: string; readonly provenDeviceId: DeviceId | undefined },
): Promise<PreparedSession> {
  const at = deps.clock.now()
  const deviceId = device.provenDeviceId ?? deps.ids.next<DeviceId>()
  const sessionId = deps.ids.next<SessionId>()
  const claims = { tenantId, userId: user.user_id, deviceId, sessionId, role: user.role }
  const endsAt = absoluteExpiresAt(at, deps.limits)
  const nameOf = { tenantId, kind: 'device', id: deviceId, subjectUserId: subjectOf(user) } as const
  return {
    ctx: contextOf(claims, origin),
    user,
    at,
    absoluteExpiresAt: endsAt,
    isNewDevice: device.provenDeviceId === undefined,
    deviceNameEncrypted: await sealName(deps, outsideTx(deps.db, tenantId), nameOf, device.name),
    deviceSecret: newBearer(deps.random, tenantId),
    refreshToken: newBearer(deps.random, tenantId),
    ...(await issueAccessToken(deps, claims, at, endsAt)),
  }
}

/** An access token never outlives its session. */
export async function issueAccessToken(
  deps: Pick<IdentityDeps, 'accessTokens' | 'limits'>,
  claims: Omit<Claims, 'expiresAt'>,
  at: Instant,
  sessionEndsAt: Instant,
): Promise<{ readonly accessToken: Secret<string>; readonly accessTokenExpiresAt: Instant }> {
  const secondsMax = Math.floor(at / 1000) + deps.limits.accessTokenSeconds
  const expiresAt = instant(Math.min(secondsMax, Math.floor(sessionEndsAt / 1000)) * 1000)
  return { accessToken: await deps.accessTokens.issue({ ...claims, expiresAt }), accessTokenExpiresAt: expiresAt }
}

/**
 * @param hashEncoded  the credential that was verified, or has just been set
 * @returns whether it is stored; not when user, device or credential have changed since: then the caller rolls back
 */
export async function insertPreparedSession(tx: Tx, prepared: PreparedSession, hashEncoded: string): Promise<boolean> {
  const { ctx, at, absoluteExpiresAt: expiresAt } = prepared
  const { tenantId, userId, deviceId, sessionId } = ctx
  const nameEncrypted = prepared.deviceNameEncrypted
  const device = prepared.isNewDevice
    ? insertDevice(tx, { tenantId, deviceId, userId, nameEncrypted, secretHash: prepared.deviceSecret.hash, at })
    : updateDeviceSeen(tx, tenantId, deviceId, at, nameEncrypted)
  const session = { tenantId, sessionId, userId, deviceId, at, absoluteExpiresAt: expiresAt }
  const [hasDevice, hasSession] = await Promise.all([device, insertSession(tx, session, hashEncoded)])
  if (hasDevice === false || !hasSession) return false
  await insertRefreshToken(tx, {
    tenantId,
    sessionId,
    tokenHash: prepared.refreshToken.hash,
    generation: 1,
    at,
    expiresAt,
  })
  return true
}

export async function recordSignIn(
  deps: Pick<IdentityDeps, 'audit'>,
  tx: Tx,
  prepared: PreparedSession,
): Promise<void> {
  await deps.audit.record(tx, prepared.ctx, {
    action: 'session.create',
    resource: { type: 'session', id: prepared.ctx.sessionId },
    subjectUserId: subjectOf(prepared.user),
    details: { isNewDevice: prepared.isNewDevice },
  })
}

export async function renderPreparedSession(
  deps: SignInDeps,
  prepared: PreparedSession,
  teams: readonly StoredTeamOfUser[],
): Promise<SignedInResult> {
  const { ctx, user, at } = prepared
  const session = {
    session_id: ctx.sessionId,
    user_id: ctx.userId,
    device_id: ctx.deviceId,
    created_at: at,
    last_active_at: at,
    absolute_expires_at: prepared.absoluteExpiresAt,
    ended_at: null,
  }
  return {
    accessToken: prepared.accessToken,
    accessTokenExpiresAt: toRfc3339(prepared.accessTokenExpiresAt),
    refreshToken: prepared.refreshToken.token,
    deviceSecret: prepared.isNewDevice ? prepared.deviceSecret.token : null,
    session: renderSession(session, deps.limits, ctx.sessionId),
    user: await renderUser(deps, { tenantId: ctx.tenantId, access: outsideTx(deps.db, ctx.tenantId) }, user, teams),
  }
}

/** @returns the user whose device this provably is; undefined for anything else, a revoked device too */
export async function findProvenOwner(tx: Tx, tenantId: TenantId, device: DeviceInput) {
  if (device.deviceId === undefined || device.deviceSecret === undefined) return undefined
  const secret = parseBearer(device.deviceSecret)
  if (secret === undefined || secret.tenantId !== tenantId) return undefined
  return findOwnerOfProvenDevice(tx, tenantId, device.deviceId, secret.hash)
}

/** Records a refusal with its true reason. @returns what the caller may see of it, to throw */
export async function refused(
  deps: Pick<IdentityDeps, 'audit'>,
  ctx: AnonymousCtx,
  refusal: Omit<Refusal, 'code'>,
  problem: Problem,
): Promise<Problem> {
  await deps.audit.recordRefusal(ctx, { ...refusal, code: problem.trueReason })
  return problem.asRecorded()
}

/** Rolls a transaction back because what it rests on has changed since it was looked at. */
export class ChangedMeanwhile extends Error {
  override readonly name = 'ChangedMeanwhile'
}
