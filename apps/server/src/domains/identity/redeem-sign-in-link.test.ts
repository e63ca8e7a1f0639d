import { limitDefaults, type UserId } from '@sotto/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { renderProblem } from '../../platform/problem/problem.ts'
import {
  ELSEWHERE,
  inTenant,
  openClinic,
  passwordOf,
  refusalOf,
  WARD,
  type Clinic,
  type Person,
  type Tenant,
} from './clinic.testing.ts'
import { openName } from './open-name.ts'
import { renderUser } from './render-user.ts'

const GOOD = 'seven umbrellas wait behind the lighthouse'

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
    tenant = await clinic.createTenant(`harbour-${++count}`)
    alice = await clinic.hire(tenant, 'Alice', 'clinician')
  })

  const newLink = async (userId: UserId) => (await clinic.routes.createSignInLink(tenant.ctx, { userId })).token
  const redeem = (token: string, password = GOOD) =>
    clinic.routes.redeemSignInLink(WARD, { token, password, device: { name: 'x' }, refreshTokenIn: 'body' })
  const signIn = (password: string) => clinic.signIn({ tenant: tenant.slug, login: alice.login, password })
  const change = (currentPassword: string, newPassword: string, userId = alice.userId) =>
    clinic.routes.changePassword(alice.ctx, { userId, currentPassword, newPassword })

  describe('a one-time link', () => {
    test('sets a password, signs in, and ends every other session of the user', async () => {
      const signedIn = await redeem(await newLink(alice.userId))
      expect(signedIn.user.userId).toBe(alice.userId)
      await refusalOf(clinic.refresh(alice.signedIn), 'identity/session-ended')
      await clinic.refresh(signedIn)
      await signIn(GOOD)
      await refusalOf(signIn(passwordOf('Alice')), 'identity/sign-in-failed')
      const trail = (await clinic.readAudit(tenant.tenantId)).map((event) => event.action)
      expect(trail).toEqual(expect.arrayContaining(['sign-in-link.create', 'sign-in-link.redeem', 'session.create']))
    })

    test('works once, however many redeem it at the same moment', async () => {
      const token = await newLink(alice.userId)
      const outcomes = await Promise.allSettled(Array.from({ length: 4 }, () => redeem(token)))
      expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1)
      await refusalOf(redeem(token), 'identity/link-invalid')
    })

    test('stops working with the next one, and with its time', async () => {
      const first = await newLink(alice.userId)
      const second = await newLink(alice.userId)
      await refusalOf(redeem(first), 'identity/link-invalid')
      clinic.clock.pass(limitDefaults.signInLinkSeconds * 1000)
      const refusal = await refusalOf(redeem(second), 'identity/link-invalid')
      expect(refusal.recorded).toBe(true)
    })

    test('stays good when the password is refused, with a reason that helps and quotes nothing', async () => {
      const token = await newLink(alice.userId)
      const short = await refusalOf(redeem(token, 'fourteen chars'), 'identity/password-weak')
      expect(short.errors).toEqual([{ pointer: '/password', message: 'shorter than 15 characters' }])
      await refusalOf(redeem(token, `alice ${tenant.slug} alice 12`), 'identity/password-weak')
      const refusal = await refusalOf(redeem(token, 'correct horse battery staple'), 'identity/password-weak')
      expect(JSON.stringify(renderProblem(refusal, 'r'))).not.toContain('horse')
      await redeem(token)
    })

    test('is made by administrators only, for active users of their own tenant', async () => {
      const { userId } = alice
      const other = await clinic.createTenant(`moor-${count}`)
      await refusalOf(clinic.routes.createSignInLink(alice.ctx, { userId }), 'access/denied')
      await refusalOf(clinic.routes.createSignInLink(other.ctx, { userId }), 'access/not-found')
      const token = await newLink(userId)
      await clinic.routes.updateUser(tenant.ctx, { userId, active: false })
      await refusalOf(clinic.routes.createSignInLink(tenant.ctx, { userId }), 'access/not-found')
      await refusalOf(redeem(token), 'identity/link-invalid')
      await clinic.routes.updateUser(tenant.ctx, { userId, active: true })
      await refusalOf(redeem(token), 'identity/link-invalid')
    })

    test('that nobody made is recorded in the system tenant, and nothing is hashed for it', async () => {
      await refusalOf(redeem('this is no link of ours at all'), 'identity/link-invalid')
    })
  })

  describe('changing a password', () => {
    test('takes the current one, ends the other sessions, and keeps this one', async () => {
      const elsewhere = await signIn(passwordOf('Alice'))
      await change(passwordOf('Alice'), GOOD)
      await refusalOf(clinic.refresh(elsewhere), 'identity/session-ended')
      await clinic.refresh(alice.signedIn)
      await signIn(GOOD)
      await refusalOf(signIn(passwordOf('Alice')), 'identity/sign-in-failed')
    })

    test('is refused with a wrong current password, slower each time, but at this device only', async () => {
      for (let failure = 1; failure <= 6; failure++) await refusalOf(change('not it', GOOD), 'identity/sign-in-failed')
      const delayed = await refusalOf(change(passwordOf('Alice'), GOOD), 'identity/sign-in-delayed')
      expect(delayed.retryAfterMs).toBe(1_000)
      await signIn(passwordOf('Alice'))
      clinic.clock.pass(1_000)
      await change(passwordOf('Alice'), GOOD)
    })

    test('to a weak or nearly the same password is refused', async () => {
      const weak = await refusalOf(change(passwordOf('Alice'), 'short'), 'identity/password-weak')
      expect(weak.errors![0]!.pointer).toBe('/newPassword')
      await refusalOf(change(passwordOf('Alice'), `${passwordOf('Alice')}1`), 'identity/password-weak')
    })

    test('of somebody else is 404, for an administrator too', async () => {
      const input = { userId: alice.userId, currentPassword: passwordOf('Ada'), newPassword: GOOD }
      await refusalOf(clinic.routes.changePassword(tenant.ctx, input), 'access/not-found')
    })
  })

  describe('a new tenant', () => {
    test('has a public short name that no other may take, and nothing is left of one that was refused', async () => {
      const administrator = { login: 'eve@example', displayName: 'Eve' }
      const input = { slug: tenant.slug, name: 'Another', administrator }
      await refusalOf(clinic.identity.createTenant(ELSEWHERE, input), 'identity/slug-taken')
      const [row] = await clinic.database.ownerQuery(
        'select count(*)::int as users from sotto.app_user where tenant_id = $1',
        [tenant.tenantId],
      )
      expect(row).toEqual({ users: 2 })
    })

    test('is in its own trail from the first moment', async () => {
      const [first] = await clinic.readAudit(tenant.tenantId)
      expect(first).toMatchObject({ action: 'tenant.create', resource: { type: 'tenant', id: tenant.tenantId } })
      expect(first!.actor.userId).toBeNull()
    })
  })

  test('names at rest are unreadable, bound to their place, and gone with the key of the patient', async () => {
    const bob = await clinic.hire(tenant, 'Bob Dusklight', 'patient')
    const rows = await clinic.database.ownerQuery(
      `select user_id, encode(login_encrypted, 'escape') || encode(display_name_encrypted, 'escape') as names,
         display_name_encrypted from sotto.app_user where tenant_id = $1`,
      [tenant.tenantId],
    )
    for (const row of rows) expect(row['names']).not.toMatch(/Bob|Dusklight|Alice|harbour/i)
    const nameOf = (who: Person) =>
      Buffer.from(rows.find((row) => row['user_id'] === who.userId)!['display_name_encrypted'] as Uint8Array)
    const { tenantId } = tenant
    const open = (id: UserId, sealed: Buffer, subjectUserId: UserId | null) =>
      clinic.db.withTx(inTenant(tenantId), (tx) =>
        openName(clinic.deps, tx, { tenantId, kind: 'user', id, subjectUserId }, sealed),
      )
    expect((await open(bob.userId, nameOf(bob), bob.userId)).reveal()).toBe('Bob Dusklight')
    await expect(open(bob.userId, nameOf(alice), null)).rejects.toMatchObject({ code: 'keys/tampered' })
    await expect(open(bob.userId, nameOf(bob), null)).rejects.toMatchObject({ code: 'keys/tampered' })
    await clinic.eraseSubject(tenantId, bob.userId)
    expect((await open(bob.userId, nameOf(bob), bob.userId)).reveal()).toBe('—')
    const stored = { user_id: bob.userId, display_name_encrypted: nameOf(bob), role: 'patient', active: true } as const
    const shown = await clinic.db.withTx(inTenant(tenantId), (tx) =>
      renderUser(clinic.deps, { tenantId, access: tx }, stored, []),
    )
    expect(shown).toEqual({ userId: bob.userId, displayName: '—', role: 'patient', active: true, teams: [] })
  })
})
