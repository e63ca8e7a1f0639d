import type { DeviceId, SessionId, TenantId, UserId } from '@sotto/protocol'
import { statement, type Tx } from '../../platform/db/tx.ts'
import type { Grant } from '../../platform/grant/grant.ts'
import { toRfc3339, type Instant } from '../../platform/time/clock.ts'
import type { EndReason, StoredSession } from './session.model.ts'

/** A session with all that it depends on. `active`: the user is, and so is the tenant. */
const live = `s.session_id, s.user_id, s.device_id, s.created_at, s.last_active_at, s.absolute_expires_at, s.ended_at,
   s.end_reason, d.revoked_at, u.active and t.state = 'active' as active, u.role`
const joined = `session s
   join device d on d.tenant_id = s.tenant_id and d.device_id = s.device_id
   join app_user u on u.tenant_id = s.tenant_id and u.user_id = s.user_id
   join tenant t on t.tenant_id = s.tenant_id`

export interface NewSession {
  readonly tenantId: TenantId
  readonly sessionId: SessionId
  readonly userId: UserId
  readonly deviceId: DeviceId
  readonly at: Instant
  readonly absoluteExpiresAt: Instant
}

const insert = statement<never>(
  'identity.session-insert',
  `with signing_in as (
     select u.user_id from app_user u join password_credential c using (tenant_id, user_id)
     where u.tenant_id = $1 and u.user_id = $3 and u.active and c.hash_encoded = $7
     for share
   )
   insert into session (tenant_id, session_id, user_id, device_id, last_active_at, absolute_expires_at, refresh_rotated_at, created_at)
   select $1, $2, user_id, $4, $5, $6, $5, $5 from signing_in`,
)

/**
 * @param hashEncoded  the credential that was verified: when it, or the user's being active, has changed meanwhile, there is
 *                     no session. The rows are locked, so whoever changes them sees this session and ends it.
 * @returns whether there is a session
 */
export async function insertSession(tx: Tx, session: NewSession, hashEncoded: string): Promise<boolean> {
  const { tenantId, sessionId, userId, deviceId, at, absoluteExpiresAt } = session
  const values = [tenantId, sessionId, userId, deviceId, toRfc3339(at), toRfc3339(absoluteExpiresAt), hashEncoded]
  return (await tx.run(insert, values)) === 1
}

const find = statement<StoredSession>(
  'identity.session-find',
  `select ${live} from ${joined} where s.tenant_id = $1 and s.session_id = $2`,
)

export async function findSession(
  tx: Tx,
  tenantId: TenantId,
  sessionId: SessionId,
): Promise<StoredSession | undefined> {
  const [row] = await tx.rows(find, [tenantId, sessionId])
  return row
}

// `limit 1` within `lateral` is a fence: each is found by its key, whatever the planner believes of tables that have grown.
const findMany = statement<StoredSession>(
  'identity.session-find-many',
  `select ${live}
   from unnest($2::uuid[]) as asked (session_id)
   cross join lateral (
     select * from session where tenant_id = $1 and session_id = asked.session_id limit 1
   ) s
   cross join lateral (select * from device where tenant_id = $1 and device_id = s.device_id limit 1) d
   cross join lateral (select * from app_user where tenant_id = $1 and user_id = s.user_id limit 1) u
   cross join (select * from tenant where tenant_id = $1) t`,
)

export async function findSessions(
  tx: Tx,
  tenantId: TenantId,
  sessionIds: readonly SessionId[],
): Promise<readonly StoredSession[]> {
  return tx.rows(findMany, [tenantId, sessionIds])
}

const list = statement<StoredSession>(
  'identity.session-list',
  `select ${live} from ${joined}
   where s.tenant_id = $1 and s.user_id = $2 and s.ended_at is null and s.absolute_expires_at > $3
     and d.revoked_at is null and (s.last_active_at > $4 or s.session_id = $7)
     and ($5::uuid is null or s.session_id > $5)
   order by s.session_id limit $6`,
)

export interface SessionFilter {
  readonly now: Instant
  /** Sessions that were active later than this are not idle. */
  readonly idleSince: Instant
  /** The caller's, which lives also when its last act is not written yet. */
  readonly currentSessionId: SessionId
  readonly afterSessionId: string | null
  readonly limit: number
}

/** Live ones of the user whom the grant is for. */
export async function listSessions(
  tx: Tx,
  grant: Grant<'session.list', TenantId>,
  filter: SessionFilter,
): Promise<readonly StoredSession[]> {
  const { now, idleSince, currentSessionId, afterSessionId, limit } = filter
  return tx.rows(list, [
    grant.resourceId,
    grant.userId,
    toRfc3339(now),
    toRfc3339(idleSince),
    afterSessionId,
    limit,
    currentSessionId,
  ])
}

const touch = statement<never>(
  'identity.session-touch',
  `update session s set last_active_at = greatest(s.last_active_at, $3)
   from device d, app_user u, tenant t
   where s.tenant_id = $1 and s.session_id = $2 and s.ended_at is null and s.absolute_expires_at > $3
     and greatest(s.last_active_at, $5) > $4
     and d.tenant_id = $1 and d.device_id = s.device_id and d.revoked_at is null
     and u.tenant_id = $1 and u.user_id = s.user_id and u.active
     and t.tenant_id = $1 and t.state = 'active'`,
)

/**
 * @param idleSince   a session without an act since then is over, and no act brings it back
 * @param lastActAt   an act that this node has seen and not written yet
 * @returns whether the session lives
 */
export async function updateSessionActive(
  tx: Tx,
  tenantId: TenantId,
  sessionId: SessionId,
  times: { readonly now: Instant; readonly idleSince: Instant; readonly lastActAt: Instant },
): Promise<boolean> {
  const { now, idleSince, lastActAt } = times
  const values = [tenantId, sessionId, toRfc3339(now), toRfc3339(idleSince), toRfc3339(lastActAt)]
  return (await tx.run(touch, values)) === 1
}

const endOne = statement<{ user_id: UserId; role: StoredSession['role']; has_ended: boolean }>(
  'identity.session-end',
  `with target as (
     select s.session_id, s.user_id, owner.role
     from session s
     join app_user owner on owner.tenant_id = s.tenant_id and owner.user_id = s.user_id
     join app_user caller on caller.tenant_id = s.tenant_id and caller.user_id = $3
     where s.tenant_id = $1 and s.session_id = $2 and (s.user_id = $3 or caller.role = 'administrator')
   ), ended as (
     update session s set ended_at = $4, end_reason = case when target.user_id = $3 then 'signed-out' else 'ended-by-administrator' end
     from target where s.tenant_id = $1 and s.session_id = target.session_id and s.ended_at is null
     returning s.session_id
   )
   select user_id, role, exists (select from ended) as has_ended from target`,
)

/**
 * The caller's own, or anyone's when the caller is an administrator.
 * @returns whose it was, and whether it ended now rather than before; undefined when there is none for the caller
 */
export async function endSession(
  tx: Tx,
  grant: Grant<'session.end', TenantId>,
  sessionId: SessionId,
  at: Instant,
): Promise<
  { readonly user_id: UserId; readonly role: StoredSession['role']; readonly has_ended: boolean } | undefined
> {
  const [row] = await tx.rows(endOne, [grant.resourceId, sessionId, grant.userId, toRfc3339(at)])
  return row
}

const endMany = statement<{ session_id: SessionId }>(
  'identity.session-end-many',
  `update session set ended_at = $5, end_reason = $6
   where tenant_id = $1 and user_id = $2 and ended_at is null
     and ($3::uuid is null or device_id = $3) and ($4::uuid is null or session_id <> $4)
     and ($7::uuid is null or session_id = $7)
   returning session_id`,
)

export interface SessionsToEnd {
  readonly tenantId: TenantId
  readonly userId: UserId
  /** Only those of this device. */
  readonly deviceId?: DeviceId
  /** All but this one. */
  readonly exceptSessionId?: SessionId
  readonly onlySessionId?: SessionId
  readonly reason: EndReason
  readonly at: Instant
}

/** Part of a permitted act on the user, the device or the credential. @returns the sessions that ended now */
export async function endSessions(tx: Tx, which: SessionsToEnd): Promise<readonly SessionId[]> {
  const { tenantId, userId, deviceId = null, exceptSessionId = null, onlySessionId = null, reason, at } = which
  const values = [tenantId, userId, deviceId, exceptSessionId, toRfc3339(at), reason, onlySessionId]
  return (await tx.rows(endMany, values)).map((row) => row.session_id)
}
