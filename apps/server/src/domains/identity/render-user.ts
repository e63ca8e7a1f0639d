import type { Device, Team, TenantId, User } from '@sotto/protocol'
import type { Phi } from '../../platform/phi/phi.ts'
import { toRfc3339 } from '../../platform/time/clock.ts'
import type { KeyAccess } from '../keys/index.ts'
import type { StoredDevice } from './device-store.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { openName } from './open-name.ts'
import { subjectOf, type StoredTeam, type StoredTeamOfUser, type StoredUser } from './user.model.ts'

type RenderDeps = Pick<IdentityDeps, 'keys' | 'sealer'>

/** How the names of a tenant are opened: where it is, and how its keys are read. */
export interface NamesOf {
  readonly tenantId: TenantId
  readonly access: KeyAccess
}

export async function openUserName(deps: RenderDeps, of: NamesOf, user: StoredUser): Promise<Phi<string>> {
  const name = { tenantId: of.tenantId, kind: 'user', id: user.user_id, subjectUserId: subjectOf(user) } as const
  return openName(deps, of.access, name, user.display_name_encrypted)
}

/** @param teams  may hold teams of other users too */
export async function renderUser(
  deps: RenderDeps,
  of: NamesOf,
  user: StoredUser,
  teams: readonly StoredTeamOfUser[],
): Promise<User> {
  const own = teams.filter((team) => team.user_id === user.user_id)
  return {
    userId: user.user_id,
    displayName: (await openUserName(deps, of, user)).reveal(),
    role: user.role,
    active: user.active,
    teams: await Promise.all(own.map((team) => renderTeam(deps, of, team))),
  }
}

export async function renderTeam(deps: RenderDeps, of: NamesOf, team: StoredTeam): Promise<Team> {
  const name = { tenantId: of.tenantId, kind: 'team', id: team.team_id, subjectUserId: null } as const
  return { teamId: team.team_id, name: (await openName(deps, of.access, name, team.name_encrypted)).reveal() }
}

export async function renderDevice(deps: RenderDeps, of: NamesOf, device: StoredDevice): Promise<Device> {
  const name = {
    tenantId: of.tenantId,
    kind: 'device',
    id: device.device_id,
    subjectUserId: subjectOf(device),
  } as const
  return {
    deviceId: device.device_id,
    userId: device.user_id,
    name: (await openName(deps, of.access, name, device.name_encrypted)).reveal(),
    createdAt: toRfc3339(device.created_at),
    lastSeenAt: toRfc3339(device.last_seen_at),
    revokedAt: device.revoked_at === null ? null : toRfc3339(device.revoked_at),
  }
}
