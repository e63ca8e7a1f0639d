import { limitDefaults, type DeviceId, type SessionId } from '@sotto/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import {
  deviceOf,
  inTenant,
  MINUTE_MS,
  openClinic,
  passwordOf,
  refusalOf,
  type Clinic,
  type Person,
  type Tenant,
} from './clinic.testing.ts'
import { sessionEnded } from './identity.events.ts'

const IDLE_MS = limitDefaults.sessionIdleSeconds * 1000

describe.each(databaseKinds)('on %s', (kind) => {
  let clinic: Clinic
  let tenant: Tenant
  let alice: Person
  let bob: Person
  let count = 0
  let ended: SessionId[]
  let stop: () => void

  beforeAll(async () => {
    clinic = await openClinic(kind)
  })
  afterAll(() => clinic[Symbol.asyncDispose]())
  beforeEach(async () => {
    stop?.()
    tenant = await clinic.createTenant(`south-${++count}`)
    alice = await clinic.hire(tenant, 'Alice', 'clinician')
    bob = await clinic.hire(tenant, 'Bob', 'patient')
    ended = []
    stop = clinic.bus.subscribe(sessionEnded, ({ sessionIds }) => void ended.push(...sessionIds))
  })

  const touch = (who: Person, node = clinic.identity) => node.touchSession(who.ctx)
  const listOwn = (who: Person) => clinic.routes.listSessions(who.ctx, { limit: 50 })
  const live = async (...people: Person[]) => {
    const { tenantId } = tenant
    const sessionIds = people.map((person) => person.ctx.sessionId)
    return clinic.db.withTx(inTenant(tenantId), (tx) =>
      clinic.identity.findLiveSessions(tx, tenantId, sessionIds, clinic.clock.now()),
    )
  }

  describe('a session', () => {
    test('ends after the idle time without an act, and no act revives it', async () => {
      clinic.clock.pass(IDLE_MS - 1)
      expect(await live(alice)).toEqual(new Map([[alice.ctx.sessionId, { userId: alice.userId, role: 'clinician' }]]))
      clinic.clock.pass(1)
      expect((await live(alice)).size).toBe(0)
      expect((await refusalOf(touch(alice), 'identity/session-ended')).recorded).toBe(false)
      expect((await refusalOf(listOwn(alice), 'identity/session-ended')).trueReason).toBe('session-idle')
    })

    test('lives on as long as its user acts, also between two writings', async () => {
      for (let act = 0; act < 4; act++) {
        clinic.clock.pass(MINUTE_MS)
        await touch(alice)
        clinic.clock.pass(20_000)
        await touch(alice)
        clinic.clock.pass(IDLE_MS - 1)
        await listOwn(alice)
        expect((await live(alice)).size).toBe(1)
        await touch(alice)
      }
    })

    test('is seen by another node as idle at most half a minute early, never late', async () => {
      const node = clinic.startNode()
      clinic.clock.pass(MINUTE_MS)
      await touch(alice)
      clinic.clock.pass(29_000)
      await touch(alice)
      clinic.clock.pass(IDLE_MS - 29_001)
      await touch(alice, node)
      clinic.clock.pass(IDLE_MS)
      await refusalOf(touch(alice, node), 'identity/session-ended')
      await refusalOf(touch(alice), 'identity/session-ended')
    })

    test('ends at its absolute end, whatever happens in it', async () => {
      const endsAt = Date.parse(alice.signedIn.session.absoluteExpiresAt)
      while (clinic.clock.now() < endsAt - 10 * MINUTE_MS) {
        clinic.clock.pass(10 * MINUTE_MS)
        await touch(alice)
      }
      clinic.clock.pass(endsAt - clinic.clock.now() - 1)
      await touch(alice)
      clinic.clock.pass(1)
      await refusalOf(listOwn(alice), 'identity/session-ended')
      clinic.clock.pass(MINUTE_MS)
      await refusalOf(touch(alice), 'identity/session-ended')
    })

    test('signed out is over for its tokens and sockets; signing out again changes nothing', async () => {
      const second = await clinic.signIn({ tenant: tenant.slug, login: alice.login, password: passwordOf('Alice') })
      const ctx = await clinic.ctxOf(second)
      const { sessionId } = alice.ctx
      await clinic.routes.endSession(ctx, { sessionId })
      await clinic.routes.endSession(ctx, { sessionId })
      expect(ended).toEqual([sessionId])
      await refusalOf(listOwn(alice), 'identity/session-ended')
      await refusalOf(clinic.refresh(alice.signedIn), 'identity/session-ended')
      expect((await clinic.routes.listSessions(ctx, { limit: 50 })).items.map((each) => each.sessionId)).toEqual([
        ctx.sessionId,
      ])
    })

    test('of another user is 404 for Bob, and an administrator may end it', async () => {
      const { sessionId } = alice.ctx
      await refusalOf(clinic.routes.endSession(bob.ctx, { sessionId }), 'access/not-found')
      expect((await live(alice)).size).toBe(1)
      await clinic.routes.endSession(tenant.ctx, { sessionId })
      expect(ended).toEqual([sessionId])
      expect((await refusalOf(listOwn(alice))).trueReason).toBe('session-ended-by-administrator')
    })

    test('of another tenant is 404 for its administrator too, like one that does not exist', async () => {
      const other = await clinic.createTenant(`far-${count}`)
      const foreign = await refusalOf(clinic.routes.endSession(other.ctx, { sessionId: alice.ctx.sessionId }))
      const absent = await refusalOf(clinic.routes.endSession(other.ctx, { sessionId: clinic.ids.next<SessionId>() }))
      expect([foreign.code, foreign.trueReason]).toEqual([absent.code, absent.trueReason])
      const device = { deviceId: alice.ctx.deviceId }
      await refusalOf(clinic.routes.revokeDevice(other.ctx, device), 'access/not-found')
      expect((await live(alice)).size).toBe(1)
      // Nor does a context that mixes the two tenants speak for anybody.
      await refusalOf(
        clinic.routes.listSessions({ ...alice.ctx, tenantId: other.tenantId }, { limit: 50 }),
        'identity/session-ended',
      )
      await refusalOf(
        clinic.routes.listSessions({ ...alice.ctx, userId: bob.userId }, { limit: 50 }),
        'identity/session-ended',
      )
    })

    test('pages of sessions follow each other without a gap', async () => {
      const who = { tenant: tenant.slug, login: alice.login, password: passwordOf('Alice') }
      for (let more = 0; more < 4; more++) await clinic.signIn(who, { device: alice.device })
      const seen: string[] = []
      let after: string | undefined
      do {
        const page = await clinic.routes.listSessions(alice.ctx, { limit: 2, after })
        seen.push(...page.items.map((each) => each.sessionId))
        after = page.next ?? undefined
      } while (after !== undefined)
      expect(new Set(seen).size).toBe(5)
      expect(seen).toHaveLength(5)
      await refusalOf(clinic.routes.listSessions(alice.ctx, { limit: 2, after: 'not a key' }), 'platform/invalid-input')
    })
  })

  describe('a device', () => {
    test('is listed with its name for its owner only', async () => {
      const { items } = await clinic.routes.listDevices(alice.ctx, { limit: 50 })
      expect(items).toMatchObject([
        { deviceId: alice.ctx.deviceId, userId: alice.userId, name: 'Alice’s phone', revokedAt: null },
      ])
    })

    test('that is revoked takes its sessions with it, and no others', async () => {
      const elsewhere = await clinic.signIn({ tenant: tenant.slug, login: alice.login, password: passwordOf('Alice') })
      await clinic.routes.revokeDevice(alice.ctx, { deviceId: alice.ctx.deviceId })
      expect(ended).toEqual([alice.ctx.sessionId])
      await refusalOf(listOwn(alice), 'identity/session-ended')
      await refusalOf(clinic.refresh(alice.signedIn), 'identity/session-ended')
      const ctx = await clinic.ctxOf(elsewhere)
      const { items } = await clinic.routes.listDevices(ctx, { limit: 50 })
      const good = items.filter((device) => device.revokedAt === null)
      expect(good.map((device) => device.deviceId)).toEqual([deviceOf(elsewhere).deviceId])
      expect(items).toHaveLength(2)
    })

    test('of another user is 404 for Bob; one that does not exist too', async () => {
      await refusalOf(clinic.routes.revokeDevice(bob.ctx, { deviceId: alice.ctx.deviceId }), 'access/not-found')
      await refusalOf(
        clinic.routes.revokeDevice(alice.ctx, { deviceId: clinic.ids.next<DeviceId>() }),
        'access/not-found',
      )
    })
  })
})
