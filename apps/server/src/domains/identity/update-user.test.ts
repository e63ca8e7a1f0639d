import type { TeamId, UserId } from '@sotto/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { Secret } from '../../platform/phi/phi.ts'
import {
  inTenant,
  openClinic,
  passwordOf,
  refusalOf,
  WARD,
  type Clinic,
  type Person,
  type Tenant,
} from './clinic.testing.ts'
import { sessionEnded } from './identity.events.ts'

describe.each(databaseKinds)('on %s', (kind) => {
  let clinic: Clinic
  let tenant: Tenant
  let alice: Person
  let bob: Person
  let count = 0

  beforeAll(async () => {
    clinic = await openClinic(kind)
  })
  afterAll(() => clinic[Symbol.asyncDispose]())
  beforeEach(async () => {
    tenant = await clinic.createTenant(`hill-${++count}`)
    alice = await clinic.hire(tenant, 'Alice', 'clinician')
    bob = await clinic.hire(tenant, 'Bob', 'patient')
  })

  const list = (who: { readonly ctx: Tenant['ctx'] }, limit = 50, after?: string) =>
    clinic.routes.listUsers(who.ctx, { limit, after })
  const namesIn = async (who: Person) => (await list(who)).items.map((user) => user.displayName)
  const newTeam = async (name: string) => {
    const teamId = clinic.ids.next<TeamId>()
    await clinic.routes.createTeam(tenant.ctx, { teamId, name })
    return teamId
  }

  describe('creating a user', () => {
    const input = () => ({
      userId: clinic.ids.next<UserId>(),
      login: 'carol@example',
      displayName: 'Carol',
      role: 'clinician' as const,
      teamIds: [] as TeamId[],
    })

    test('twice with the same content creates one and answers the same', async () => {
      const carol = { ...input(), teamIds: [await newTeam('Ward 3')] }
      const first = await clinic.routes.createUser(tenant.ctx, carol)
      expect(first).toMatchObject({ displayName: 'Carol', active: true, teams: [{ name: 'Ward 3' }] })
      expect(await clinic.routes.createUser(tenant.ctx, carol)).toEqual(first)
      expect((await list(tenant)).items).toHaveLength(4)
    })

    test('under an id in use with other content is a conflict and changes nothing', async () => {
      const carol = input()
      await clinic.routes.createUser(tenant.ctx, carol)
      const teamIds = [await newTeam('Ward 3')]
      const changes = [
        { displayName: 'Caroline' },
        { role: 'administrator' as const },
        { login: 'c@example' },
        { teamIds },
      ]
      for (const change of changes) {
        await refusalOf(clinic.routes.createUser(tenant.ctx, { ...carol, ...change }), 'identity/id-taken')
      }
      await clinic.routes.createUser(tenant.ctx, carol)
      // The refusals are the edge's to record; the trail has no success of them.
      const trail = (await clinic.readAudit(tenant.tenantId)).filter((event) => event.resource?.id === carol.userId)
      expect(trail.map(({ action, outcome, details }) => [action, outcome, details['isRepeat']])).toEqual([
        ['user.create', 'success', false],
        ['user.create', 'success', true],
      ])
      const stored = await clinic.routes.getUser(tenant.ctx, { userId: carol.userId })
      expect(stored).toMatchObject({ displayName: 'Carol', role: 'clinician' })
    })

    test('with a sign-in name in use is a conflict, in whatever case; in another tenant it is free', async () => {
      const login = alice.login.toUpperCase()
      await refusalOf(clinic.routes.createUser(tenant.ctx, { ...input(), login }), 'identity/login-taken')
      const other = await clinic.createTenant(`dale-${count}`)
      await clinic.routes.createUser(other.ctx, { ...input(), login })
    })

    test('in a team that does not exist, or only elsewhere, is invalid input', async () => {
      const other = await clinic.createTenant(`vale-${count}`)
      const teamId = clinic.ids.next<TeamId>()
      await clinic.routes.createTeam(other.ctx, { teamId, name: 'Elsewhere' })
      const carol = { ...input(), teamIds: [teamId] }
      await refusalOf(clinic.routes.createUser(tenant.ctx, carol), 'platform/invalid-input')
      await refusalOf(clinic.routes.getUser(tenant.ctx, { userId: carol.userId }), 'access/not-found')
    })

    test('is for administrators; a role in a stolen token does not make one', async () => {
      await refusalOf(clinic.routes.createUser(alice.ctx, input()), 'access/denied')
      await refusalOf(clinic.routes.createUser({ ...alice.ctx, role: 'administrator' }, input()), 'access/denied')
    })
  })

  describe('updating a user', () => {
    test('renames, moves between teams, and keeps the session', async () => {
      const [north, south] = [await newTeam('North'), await newTeam('South')]
      const { userId } = alice
      await clinic.routes.updateUser(tenant.ctx, { userId, teamIds: [north] })
      const updated = await clinic.routes.updateUser(tenant.ctx, {
        userId,
        displayName: 'Alice A.',
        teamIds: [south, south],
      })
      expect(updated).toMatchObject({ displayName: 'Alice A.', teams: [{ teamId: south, name: 'South' }] })
      expect(await clinic.routes.getUser(alice.ctx, { userId })).toEqual(updated)
      expect((await clinic.routes.listTeams(alice.ctx, { limit: 1 })).items).toHaveLength(1)
    })

    test('a deactivated user has nothing left: no session, token, ticket, and comes back to none of it', async () => {
      const ended: string[] = []
      const stop = clinic.bus.subscribe(sessionEnded, ({ sessionIds }) => void ended.push(...sessionIds))
      const ticket = new Secret((await clinic.routes.createSocketTicket(alice.ctx)).ticket)
      await clinic.identity.touchSession(alice.ctx)
      const { userId } = alice
      await clinic.routes.updateUser(tenant.ctx, { userId, active: false })
      stop()
      expect(ended).toEqual([alice.ctx.sessionId])
      await refusalOf(list(alice), 'identity/session-ended')
      await refusalOf(clinic.refresh(alice.signedIn), 'identity/session-ended')
      await refusalOf(clinic.identity.redeemSocketTicket(ticket, WARD), 'identity/ticket-invalid')
      // What a node remembers of her last act opens nothing, and is soon held against the database.
      await clinic.identity.touchSession(alice.ctx)
      await refusalOf(list(alice), 'identity/session-ended')
      clinic.clock.pass(30_000)
      await refusalOf(clinic.identity.touchSession(alice.ctx), 'identity/session-ended')
      const who = { tenant: tenant.slug, login: alice.login, password: passwordOf('Alice') }
      await refusalOf(clinic.signIn(who, { device: alice.device }), 'identity/sign-in-failed')
      await clinic.routes.updateUser(tenant.ctx, { userId, active: true })
      await refusalOf(clinic.refresh(alice.signedIn), 'identity/session-ended')
      await refusalOf(list(alice), 'identity/session-ended')
      await clinic.signIn(who, { device: alice.device })
    })

    test('a new role means a new sign-in', async () => {
      await clinic.routes.updateUser(tenant.ctx, { userId: alice.userId, role: 'compliance-officer' })
      expect((await refusalOf(list(alice))).trueReason).toBe('session-role-changed')
    })

    test('patients do not become staff, nor staff patients', async () => {
      for (const [userId, role] of [
        [bob.userId, 'clinician'],
        [alice.userId, 'patient'],
      ] as const) {
        const refusal = await refusalOf(
          clinic.routes.updateUser(tenant.ctx, { userId, role }),
          'platform/invalid-input',
        )
        expect(refusal.errors![0]!.pointer).toBe('/role')
      }
    })

    test('the last active administrator stays one, also when two demote each other at once', async () => {
      const ada = tenant.administratorUserId
      await refusalOf(
        clinic.routes.updateUser(tenant.ctx, { userId: ada, active: false }),
        'identity/last-administrator',
      )
      await refusalOf(
        clinic.routes.updateUser(tenant.ctx, { userId: ada, role: 'service' }),
        'identity/last-administrator',
      )
      const amy = await clinic.hire(tenant, 'Amy', 'administrator')
      const outcomes = await Promise.allSettled([
        clinic.routes.updateUser(tenant.ctx, { userId: amy.userId, role: 'clinician' }),
        clinic.routes.updateUser(amy.ctx, { userId: ada, active: false }),
      ])
      expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1)
    })

    test('of another tenant is 404', async () => {
      const other = await clinic.createTenant(`fell-${count}`)
      const { userId } = alice
      await refusalOf(clinic.routes.updateUser(other.ctx, { userId, displayName: 'Mine' }), 'access/not-found')
      await refusalOf(clinic.routes.updateUser(other.ctx, { userId, active: false }), 'access/not-found')
      await refusalOf(clinic.routes.getUser(other.ctx, { userId }), 'access/not-found')
      expect((await list(other)).items.map((user) => user.displayName)).toEqual(['Ada'])
    })
  })

  describe('the directory', () => {
    test('shows staff the tenant, and a patient those with whom a conversation is shared', async () => {
      expect(await namesIn(alice)).toEqual(expect.arrayContaining(['Ada', 'Alice', 'Bob']))
      expect(await namesIn(bob)).toEqual(['Bob'])
      await refusalOf(clinic.routes.getUser(bob.ctx, { userId: alice.userId }), 'access/not-found')
      clinic.fellows.set(bob.userId, [alice.userId])
      expect((await namesIn(bob)).toSorted()).toEqual(['Alice', 'Bob'])
      await clinic.routes.getUser(bob.ctx, { userId: alice.userId })
      await refusalOf(clinic.routes.listTeams(bob.ctx, { limit: 50 }), 'access/denied')
    })

    test('tells the patient later who saw the name, in a list or alone', async () => {
      await list(alice)
      await clinic.routes.getUser(alice.ctx, { userId: bob.userId })
      const about = (await clinic.readAudit(tenant.tenantId)).filter(
        (event) => event.subjectUserId === bob.userId && event.actor.userId === alice.userId,
      )
      expect(about.map((event) => event.action)).toEqual(['user.list', 'user.get'])
    })

    test('filters by role and pages without a gap', async () => {
      expect(
        (await clinic.routes.listUsers(alice.ctx, { limit: 50, role: 'patient' })).items.map((user) => user.userId),
      ).toEqual([bob.userId])
      const seen: string[] = []
      let after: string | undefined
      do {
        const page = await list(alice, 1, after)
        seen.push(...page.items.map((user) => user.displayName))
        after = page.next ?? undefined
      } while (after !== undefined)
      expect(seen.toSorted()).toEqual(['Ada', 'Alice', 'Bob'])
    })

    test('gives other rooms names by id, of this tenant only, and says who is not active', async () => {
      const other = await clinic.createTenant(`tarn-${count}`)
      await clinic.routes.updateUser(tenant.ctx, { userId: alice.userId, active: false })
      const { tenantId } = tenant
      const userIds = [alice.userId, bob.userId, other.administratorUserId]
      const names = await clinic.db.withTx(inTenant(tenantId), (tx) =>
        clinic.identity.findUserNames(tx, tenantId, userIds),
      )
      const shown = [...names].map(([userId, name]) => [userId, { ...name, displayName: name.displayName.reveal() }])
      expect(new Map(shown as [UserId, unknown][])).toEqual(
        new Map([
          [alice.userId, { displayName: 'Alice', role: 'clinician', active: false }],
          [bob.userId, { displayName: 'Bob', role: 'patient', active: true }],
        ]),
      )
      expect(String(names.get(bob.userId)!.displayName)).toBe('[PHI]')
    })
  })

  test('a team is created once; another name under its id is a conflict', async () => {
    const teamId = await newTeam('Ward 3')
    expect(await clinic.routes.createTeam(tenant.ctx, { teamId, name: 'Ward 3' })).toEqual({ teamId, name: 'Ward 3' })
    await refusalOf(clinic.routes.createTeam(tenant.ctx, { teamId, name: 'Ward 4' }), 'identity/id-taken')
    const trail = (await clinic.readAudit(tenant.tenantId)).filter((event) => event.action === 'team.create')
    const told = trail.filter((event) => event.resource?.id === teamId).map((event) => event.details['isRepeat'])
    expect(told).toEqual([false, true])
    await refusalOf(clinic.routes.createTeam(alice.ctx, { teamId, name: 'Ward 3' }), 'access/denied')
  })
})
