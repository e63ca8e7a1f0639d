import { limitDefaults, type SessionId, type TenantId } from '@sotto/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { Secret } from '../../platform/phi/phi.ts'
import { MINUTE_MS, openClinic, refusalOf, WARD, type Clinic, type Person, type Tenant } from './clinic.testing.ts'
import { sessionEnded } from './identity.events.ts'
import type { SignedInResult } from './signed-in.model.ts'

const GRACE_MS = limitDefaults.refreshGraceSeconds * 1000

describe.each(databaseKinds)('on %s', (kind) => {
  let clinic: Clinic
  let tenant: Tenant
  let alice: Person
  let count = 0

  beforeAll(async () => {
    clinic = await openClinic(kind)
  })
  afterAll(() => clinic[Symbol.asyncDispose]())
  beforeEach(async () => {
    tenant = await clinic.createTenant(`east-${++count}`)
    alice = await clinic.hire(tenant, 'Alice', 'clinician')
  })

  const isAlive = async (signedIn: SignedInResult) => {
    const ctx = await clinic.ctxOf(signedIn)
    return clinic.routes.listSessions(ctx, { limit: 50 }).then(
      () => true,
      () => false,
    )
  }

  describe('refreshing', () => {
    test('gives a new pair of the same session, again and again', async () => {
      let current = alice.signedIn
      for (let turn = 0; turn < 3; turn++) {
        clinic.clock.pass(MINUTE_MS)
        const next = await clinic.refresh(current)
        expect(next.session.sessionId).toBe(current.session.sessionId)
        expect(next.refreshToken.reveal()).not.toBe(current.refreshToken.reveal())
        expect(Date.parse(next.accessTokenExpiresAt)).toBeGreaterThan(Date.parse(current.accessTokenExpiresAt))
        expect(next.deviceSecret).toBeNull()
        current = next
      }
      expect(await isAlive(current)).toBe(true)
    })

    test('of two tabs that refresh at the same moment both get a valid pair, and either goes on', async () => {
      const node = clinic.startNode()
      const [one, other] = await Promise.all([clinic.refresh(alice.signedIn), clinic.refresh(alice.signedIn, node)])
      expect(one.refreshToken.reveal()).not.toBe(other.refreshToken.reveal())
      // They met at the session's row: one turned the family on, the other saw it.
      const trail = (await clinic.readAudit(tenant.tenantId)).filter((event) => event.action === 'session.refresh')
      expect(trail.map((event) => event.details['isRepeat'])).toEqual([false, true])
      expect(await isAlive(one)).toBe(true)
      expect(await isAlive(other)).toBe(true)
      clinic.clock.pass(4 * MINUTE_MS)
      expect(await isAlive(await clinic.refresh(other))).toBe(true)
    })

    test('an answer that got lost is asked for again within the grace', async () => {
      await clinic.refresh(alice.signedIn)
      clinic.clock.pass(GRACE_MS)
      const again = await clinic.refresh(alice.signedIn)
      clinic.clock.pass(MINUTE_MS)
      expect(await isAlive(await clinic.refresh(again))).toBe(true)
      const details = (await clinic.readAudit(tenant.tenantId)).filter((event) => event.action === 'session.refresh')
      expect(details.map((event) => event.details)).toEqual([
        { isRepeat: false },
        { isRepeat: true },
        { isRepeat: false },
      ])
    })

    test('a token that comes back after the grace ends the session for everybody, at once', async () => {
      const ended: { sessionIds: readonly SessionId[]; reason: string; tenantId: TenantId }[] = []
      const stop = clinic.bus.subscribe(sessionEnded, (hint) => void ended.push(hint))
      const next = await clinic.refresh(alice.signedIn)
      clinic.clock.pass(GRACE_MS + 1)
      const refusal = await refusalOf(clinic.refresh(alice.signedIn), 'identity/refresh-invalid')
      expect(refusal.trueReason).toBe('refresh-reuse')
      stop()
      const { sessionId } = next.session
      expect(ended).toEqual([{ tenantId: tenant.tenantId, sessionIds: [sessionId], reason: 'refresh-reuse' }])
      expect(await isAlive(next)).toBe(false)
      const over = await refusalOf(clinic.refresh(next), 'identity/session-ended')
      expect(over.trueReason).toBe('session-refresh-reuse')
      const trail = (await clinic.readAudit(tenant.tenantId)).slice(-3)
      expect(trail.map(({ action, outcome, code }) => [action, outcome, code])).toEqual([
        ['session.end', 'success', null],
        ['session.refresh', 'refused', 'refresh-reuse'],
        ['session.refresh', 'refused', 'session-refresh-reuse'],
      ])
    })

    test('Mallory copies a token and is quick: within the grace both hold a pair, after it the second one to come shows', async () => {
      const mallory = await clinic.refresh(alice.signedIn)
      const own = await clinic.refresh(alice.signedIn)
      clinic.clock.pass(4 * MINUTE_MS)
      const malloryAgain = await clinic.refresh(mallory)
      clinic.clock.pass(GRACE_MS + 1)
      await refusalOf(clinic.refresh(own), 'identity/refresh-invalid')
      await refusalOf(clinic.refresh(malloryAgain), 'identity/session-ended')
      expect(await isAlive(malloryAgain)).toBe(false)
    })

    test('a token two turns old is reuse even within the grace', async () => {
      const next = await clinic.refresh(alice.signedIn)
      await clinic.refresh(next)
      await refusalOf(clinic.refresh(alice.signedIn), 'identity/refresh-invalid')
      await refusalOf(clinic.refresh(next), 'identity/session-ended')
    })

    test('is no activity: a session that only refreshes becomes idle', async () => {
      let current = alice.signedIn
      for (let turn = 0; turn < 3; turn++) {
        clinic.clock.pass(4 * MINUTE_MS)
        current = await clinic.refresh(current)
      }
      clinic.clock.pass(3 * MINUTE_MS)
      const refusal = await refusalOf(clinic.refresh(current), 'identity/session-ended')
      expect(refusal.trueReason).toBe('session-idle')
    })

    test('an access token never outlives the session, and after its absolute end nothing refreshes it', async () => {
      const endsAt = Date.parse(alice.signedIn.session.absoluteExpiresAt)
      let current = alice.signedIn
      while (clinic.clock.now() < endsAt - 2 * MINUTE_MS) {
        clinic.clock.pass(Math.min(4 * MINUTE_MS, endsAt - MINUTE_MS - clinic.clock.now()))
        current = await clinic.refresh(current)
        await clinic.identity.touchSession(await clinic.ctxOf(current))
      }
      expect(Date.parse(current.accessTokenExpiresAt)).toBeLessThanOrEqual(endsAt)
      clinic.clock.pass(MINUTE_MS)
      const refusal = await refusalOf(clinic.refresh(current), 'identity/session-ended')
      expect(refusal.trueReason).toBe('session-expired')
    })

    test.each([
      ['no token', undefined],
      ['noise', 'x'.repeat(100)],
      [
        'a token of a tenant that does not exist',
        `${Buffer.from('0190000000007000800000000000abcd', 'hex').toString('base64url')}.${'A'.repeat(43)}`,
      ],
    ])('with %s is refused and recorded in the system tenant', async (_, refreshToken) => {
      const refusal = await refusalOf(
        clinic.routes.refreshSession(WARD, { refreshToken, refreshTokenIn: 'body' }),
        'identity/refresh-invalid',
      )
      expect(refusal.recorded).toBe(true)
    })

    test('the token of one tenant opens nothing in another', async () => {
      const other = await clinic.createTenant(`west-${count}`)
      const [prefix] = other.ada.refreshToken.reveal().split('.')
      const [, random] = alice.signedIn.refreshToken.reveal().split('.')
      const moved = { ...alice.signedIn, refreshToken: new Secret(`${prefix}.${random}`) }
      await refusalOf(clinic.refresh(moved), 'identity/refresh-invalid')
      expect(await isAlive(alice.signedIn)).toBe(true)
    })
  })

  describe('a socket ticket', () => {
    const newTicket = async () => new Secret((await clinic.routes.createSocketTicket(alice.ctx)).ticket)

    test('opens one socket for its session, from wherever it is used', async () => {
      const origin = { requestId: 'request-socket', address: '10.9.9.9' }
      const ctx = await clinic.identity.redeemSocketTicket(await newTicket(), origin)
      expect(ctx).toEqual({ ...alice.ctx, ...origin })
    })

    test('redeemed by many at once opens exactly one', async () => {
      const ticket = await newTicket()
      const nodes = Array.from({ length: 5 }, () => clinic.startNode())
      const outcomes = await Promise.allSettled(nodes.map((node) => node.redeemSocketTicket(ticket, WARD)))
      expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1)
      await refusalOf(clinic.identity.redeemSocketTicket(ticket, WARD), 'identity/ticket-invalid')
    })

    test('works for its seconds and not one more', async () => {
      const inTime = await newTicket()
      const late = await newTicket()
      clinic.clock.pass(limitDefaults.socketTicketSeconds * 1000 - 1)
      await clinic.identity.redeemSocketTicket(inTime, WARD)
      clinic.clock.pass(1)
      const refusal = await refusalOf(clinic.identity.redeemSocketTicket(late, WARD), 'identity/ticket-invalid')
      expect(refusal.recorded).toBe(true)
      const event = (await clinic.readAudit(tenant.tenantId)).at(-1)!
      expect(event).toMatchObject({ action: 'socket.open', outcome: 'refused', code: 'ticket-unknown-used-or-expired' })
    })

    test('of a session that ended meanwhile opens nothing', async () => {
      const ticket = await newTicket()
      await clinic.routes.endSession(alice.ctx, { sessionId: alice.ctx.sessionId })
      const refusal = await refusalOf(clinic.identity.redeemSocketTicket(ticket, WARD), 'identity/ticket-invalid')
      expect(refusal.trueReason).toBe('session-signed-out')
    })

    test('a refresh token is no ticket, and noise is none either', async () => {
      await refusalOf(clinic.identity.redeemSocketTicket(alice.signedIn.refreshToken, WARD), 'identity/ticket-invalid')
      await refusalOf(clinic.identity.redeemSocketTicket(new Secret('noise'), WARD), 'identity/ticket-invalid')
    })
  })
})
