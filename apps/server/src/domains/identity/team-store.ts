import type { TeamId, TenantId, UserId } from '@sotto/protocol'
import { statement, type Tx } from '../../platform/db/tx.ts'
import type { Grant } from '../../platform/grant/grant.ts'
import { toRfc3339, type Instant } from '../../platform/time/clock.ts'
import type { StoredTeam, StoredTeamOfUser } from './user.model.ts'

export interface NewTeam {
  readonly tenantId: TenantId
  readonly teamId: TeamId
  readonly nameEncrypted: Buffer
  readonly at: Instant
}

const insert = statement<never>(
  'identity.team-insert',
  `insert into team (tenant_id, team_id, name_encrypted, created_at) values ($1, $2, $3, $4)
   on conflict (tenant_id, team_id) do nothing`,
)

/** @returns whether it is new; an id in use changes nothing */
export async function insertTeam(tx: Tx, _grant: Grant<'team.create', TenantId>, team: NewTeam): Promise<boolean> {
  return (await tx.run(insert, [team.tenantId, team.teamId, team.nameEncrypted, toRfc3339(team.at)])) === 1
}

const find = statement<StoredTeam>(
  'identity.team-find',
  `select team_id, name_encrypted from team where tenant_id = $1 and team_id = $2`,
)

export async function findTeam(
  tx: Tx,
  _grant: Grant<'team.create', TenantId>,
  tenantId: TenantId,
  teamId: TeamId,
): Promise<StoredTeam | undefined> {
  const [row] = await tx.rows(find, [tenantId, teamId])
  return row
}

const list = statement<StoredTeam>(
  'identity.team-list',
  `select team_id, name_encrypted from team
   where tenant_id = $1 and ($2::uuid is null or team_id > $2) order by team_id limit $3`,
)

export async function listTeams(
  tx: Tx,
  _grant: Grant<'team.list', TenantId>,
  tenantId: TenantId,
  afterTeamId: string | null,
  limit: number,
): Promise<readonly StoredTeam[]> {
  return tx.rows(list, [tenantId, afterTeamId, limit])
}

const listOfUsers = statement<StoredTeamOfUser>(
  'identity.team-list-of-users',
  `select m.user_id, t.team_id, t.name_encrypted from team_member m join team t using (tenant_id, team_id)
   where m.tenant_id = $1 and m.user_id = any($2::uuid[]) order by m.user_id, t.team_id`,
)

export async function listTeamsOfUsers(
  tx: Tx,
  tenantId: TenantId,
  userIds: readonly UserId[],
): Promise<readonly StoredTeamOfUser[]> {
  return tx.rows(listOfUsers, [tenantId, userIds])
}

/** The constraint that a team which does not exist breaks. */
export const TEAM_FKEY = 'team_member_team_fkey'

const deleteOthers = statement<never>(
  'identity.team-member-delete-others',
  `delete from team_member where tenant_id = $1 and user_id = $2 and team_id <> all($3::uuid[])`,
)

const insertMissing = statement<never>(
  'identity.team-member-insert-missing',
  `insert into team_member (tenant_id, user_id, team_id, created_at)
   select $1, $2, team_id, $4 from unnest($3::uuid[]) as team_id group by team_id
   on conflict (tenant_id, user_id, team_id) do nothing`,
)

/** The user's teams are these from now on. @throws StatementFailed on `TEAM_FKEY` */
export async function setTeamsOfUser(
  tx: Tx,
  _grant: Grant<'user.create' | 'user.update', TenantId>,
  member: {
    readonly tenantId: TenantId
    readonly userId: UserId
    readonly teamIds: readonly TeamId[]
    readonly at: Instant
  },
): Promise<void> {
  const { tenantId, userId, teamIds, at } = member
  const removed = tx.run(deleteOthers, [tenantId, userId, teamIds])
  await Promise.all([removed, tx.run(insertMissing, [tenantId, userId, teamIds, toRfc3339(at)])])
}
