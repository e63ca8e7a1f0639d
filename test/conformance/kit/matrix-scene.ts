/** The people of the matrix: every role in every relation to one group. */

import type { AuditEventId, UserId } from '@sotto/protocol'
import { openTestSocket, startTestServer, type Clinic, type DatabaseKind, type TestServer } from '@sotto/testkit'
import {
  handOf,
  hireOfEachRole,
  openWard,
  roles,
  signIn,
  withExpiredToken,
  type ByRole,
  type Hand,
  type Ward,
} from './clinic.ts'
import type { Relation } from './oracle.ts'
import { openOwner, type Owner } from './owner.ts'

export interface Scene extends AsyncDisposable {
  readonly server: TestServer
  readonly owner: Owner
  readonly clinic: Clinic
  readonly elsewhere: Clinic
  readonly ward: Ward
  readonly relations: Readonly<Record<Relation, ByRole>>
  /** Tickets of the revoked, made while their sessions lived. */
  readonly revokedTickets: Readonly<Record<string, string>>
  /** In the group, and never a caller. */
  readonly bystander: Hand
  /** For each role someone to be changed by callers of that role. */
  readonly spares: ByRole
  readonly auditEventId: AuditEventId
}

export async function openScene(kind: DatabaseKind): Promise<Scene> {
  await using stack = new AsyncDisposableStack()
  const server = stack.use(await startTestServer(kind))
  const owner = stack.use(await openOwner(server))
  const clinic = await server.createClinic()
  const elsewhere = await server.createClinic()
  const managers = byRoleOf(clinic)
  const [participants, removed, strangers, spares] = [
    await hireOfEachRole(server, clinic, 'participant'),
    await hireOfEachRole(server, clinic, 'removed'),
    await hireOfEachRole(server, clinic, 'stranger'),
    await hireOfEachRole(server, clinic, 'spare'),
  ]
  const bystander = handOf(clinic, clinic.carmen)
  const idsOf = (people: ByRole) => roles.map((role) => people[role].userId)
  const ward = await openWard(server, clinic, [bystander.userId, ...idsOf(participants), ...idsOf(removed)])
  await settle(server, owner, ward, managers, removed)
  const hostSocket = await openTestSocket(server.url, ward.host.accessToken)
  stack.defer(() => hostSocket.close())
  const revoked = await endEach(server, managers)
  const { operations } = server.composition
  const { items } = await operations.listAuditEvents(clinic.cora.ctx, { limit: 1, resourceId: ward.conversationId })
  const relations = {
    manager: managers,
    participant: participants,
    removed,
    stranger: strangers,
    elsewhere: byRoleOf(elsewhere),
    revoked: revoked.hands,
    expired: await eachRole((role) => withExpiredToken(server, managers[role])),
    nobody: managers,
  }
  const resources = stack.move()
  return {
    server,
    owner,
    clinic,
    elsewhere,
    ward,
    relations,
    bystander,
    spares,
    revokedTickets: revoked.tickets,
    auditEventId: items[0]!.auditEventId,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

function byRoleOf(clinic: Clinic): ByRole {
  const { ada, cora, alice, bob, robot } = clinic
  return {
    administrator: handOf(clinic, ada),
    'compliance-officer': handOf(clinic, cora),
    clinician: handOf(clinic, alice),
    patient: handOf(clinic, bob),
    service: handOf(clinic, robot),
  }
}

/** Managers of every role join, and who is to be removed is removed. */
async function settle(server: TestServer, owner: Owner, ward: Ward, managers: ByRole, removed: ByRole): Promise<void> {
  const { conversationId, host } = ward
  for (const role of roles) await joinAs(server, owner, ward, managers[role].userId, 'manager')
  for (const role of roles)
    await server.composition.operations.removeMember(host.ctx, { conversationId, userId: removed[role].userId })
}

/**
 * Managers are made in the database, not by the operation: it makes none of those whose role could not use it, and the
 * matrix asks what happens if one of them is a manager all the same.
 */
export async function joinAs(
  { composition }: TestServer,
  owner: Owner,
  { conversationId, host }: Ward,
  userId: UserId,
  memberRole: 'manager' | 'participant',
): Promise<void> {
  await composition.operations.addMember(host.ctx, { conversationId, userIds: [userId], memberRole: 'participant' })
  if (memberRole === 'participant') return
  const sql = `update sotto.member set member_role = 'manager' where conversation_id = $1 and user_id = $2`
  await owner.query(sql, [conversationId, userId])
}

async function endEach(server: TestServer, people: ByRole) {
  const { operations } = server.composition
  const tickets: Record<string, string> = {}
  const hands = await eachRole(async (role) => {
    const { hand } = await signIn(server, people[role])
    tickets[role] = (await operations.createSocketTicket(hand.ctx, {})).ticket
    await operations.endSession(hand.ctx, { sessionId: hand.ctx.sessionId })
    return hand
  })
  return { hands, tickets }
}

async function eachRole(of: (role: (typeof roles)[number]) => Promise<Hand>): Promise<ByRole> {
  const people = {} as Record<(typeof roles)[number], Hand>
  for (const role of roles) people[role] = await of(role)
  return people
}
