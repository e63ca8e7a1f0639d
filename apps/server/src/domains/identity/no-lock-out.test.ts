import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { UserId } from '@sotto/protocol'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import {
  type deviceOf,
  ELSEWHERE,
  openClinic,
  passwordOf,
  refusalOf,
  WARD,
  type Clinic,
  type Tenant,
} from './clinic.testing.ts'

// Whoever guesses at somebody's password slows down, and keeps nobody from care (45 CFR 164.312(a)(2)(ii)).

const AT_HOME = { ...WARD, address: '198.51.100.200' }

describe.each(databaseKinds)('on %s: after Mallory has guessed for hours', (kind) => {
  let clinic: Clinic
  let tenant: Tenant
  let count = 0
  let who: { readonly tenant: string; readonly login: string; readonly password: string }
  let userId: UserId
  let device: ReturnType<typeof deviceOf>

  beforeAll(async () => {
    clinic = await openClinic(kind)
  })
  afterAll(() => clinic[Symbol.asyncDispose]())

  const wrong = () => ({ ...who, password: 'what Mallory thinks of' })

  /** As fast as Mallory is let: each wait is kept, then the next guess counts. */
  async function guess(origin: typeof WARD, rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      const volley = await Promise.all(Array.from({ length: 5 }, () => refusalOf(clinic.signIn(wrong(), { origin }))))
      clinic.clock.pass(Math.max(0, ...volley.map(({ retryAfterMs }) => retryAfterMs ?? 0)))
    }
    await Promise.all(Array.from({ length: 5 }, () => refusalOf(clinic.signIn(wrong(), { origin }))))
  }

  describe.each(['clinician', 'patient'] as const)('a %s', (role) => {
    beforeEach(async () => {
      tenant = await clinic.createTenant(`north-${role}-${++count}`)
      const person = await clinic.hire(tenant, 'Bob', role)
      ;({ userId, device } = person)
      who = { tenant: tenant.slug, login: person.login, password: passwordOf('Bob') }
    })

    test('signs in from anywhere else at once, also on a new device', async () => {
      await guess(ELSEWHERE, 30)
      const signedIn = await clinic.signIn(who, { origin: AT_HOME })
      expect(signedIn.deviceSecret).not.toBeNull()
    })

    test('signs in on the own device at once, also behind Mallory’s own address', async () => {
      await guess(ELSEWHERE, 30)
      const signedIn = await clinic.signIn(who, { origin: ELSEWHERE, device })
      expect(signedIn.session.deviceId).toBe(device.deviceId)
    })

    test('who is signed in stays so, and refreshes', async () => {
      const signedIn = await clinic.signIn(who, { origin: AT_HOME })
      await guess(ELSEWHERE, 10)
      await clinic.refresh(signedIn)
    })

    test('on a new device behind Mallory’s own address waits as long as was told, never longer than the limit', async () => {
      await guess(ELSEWHERE, 30)
      const delayed = await refusalOf(clinic.signIn(who, { origin: ELSEWHERE }), 'identity/sign-in-delayed')
      expect(delayed.retryAfterMs).toBeGreaterThan(0)
      expect(delayed.retryAfterMs).toBeLessThanOrEqual(clinic.deps.limits.signInDelayMsMax)
      clinic.clock.pass(delayed.retryAfterMs!)
      await clinic.signIn(who, { origin: ELSEWHERE })
    })

    test('or does not wait at all, with a one-time link of an administrator', async () => {
      await guess(ELSEWHERE, 30)
      const { token } = await clinic.routes.createSignInLink(tenant.ctx, { userId })
      const password = passwordOf('Bob, another one')
      const input = { token, password, device: { name: 'A new phone' }, refreshTokenIn: 'body' } as const
      expect((await clinic.routes.redeemSignInLink(ELSEWHERE, input)).user.userId).toBe(userId)
    })
  })
})
