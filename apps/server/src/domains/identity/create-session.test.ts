import type { UserId } from '@sotto/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { SYSTEM_TENANT_ID } from '../../platform/context/context.ts'
import { systemRandom } from '../../platform/ids/ids.ts'
import { renderProblem } from '../../platform/problem/problem.ts'
import {
  deviceOf,
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
import { beginAttempt } from './begin-attempt.ts'
import { createSession } from './create-session.ts'
import { createPasswordHasher } from './password-hasher.ts'

describe.each(databaseKinds)('on %s', (kind) => {
  let clinic: Clinic
  let tenant: Tenant
  let alice: Person
  let count = 0
  const right = () => ({ tenant: tenant.slug, login: alice.login, password: passwordOf('Alice') })
  const wrong = () => ({ ...right(), password: 'not what Alice would think of' })

  beforeAll(async () => {
    clinic = await openClinic(kind)
  })
  afterAll(() => clinic[Symbol.asyncDispose]())
  beforeEach(async () => {
    tenant = await clinic.createTenant(`north-${++count}`)
    alice = await clinic.hire(tenant, 'Alice', 'clinician')
  })

  test('Alice signs in with her name in any case and gets a session that lives', async () => {
    const signedIn = await clinic.signIn({ ...right(), login: alice.login.toUpperCase() })
    expect(signedIn.user).toEqual({
      userId: alice.userId,
      displayName: 'Alice',
      role: 'clinician',
      active: true,
      teams: [],
    })
    expect(signedIn.session.current).toBe(true)
    const ctx = await clinic.ctxOf(signedIn)
    const sessions = await clinic.routes.listSessions(ctx, { limit: 50 })
    expect(sessions.items.map((session) => session.sessionId)).toContain(signedIn.session.sessionId)
  })

  test('where the deployment has more than one tenant, a sign-in without one is refused', async () => {
    await refusalOf(clinic.signIn({ ...right(), tenant: undefined }), 'identity/sign-in-failed')
  })

  test('Mallory learns nothing: every way to fail gets the same answer, and the trail keeps the true one', async () => {
    const patty = clinic.ids.next<UserId>()
    const login = 'patty@example'
    await clinic.routes.createUser(tenant.ctx, {
      userId: patty,
      login,
      displayName: 'Patty',
      role: 'patient',
      teamIds: [],
    })
    const leo = await clinic.hire(tenant, 'Leo', 'clinician')
    await clinic.routes.updateUser(tenant.ctx, { userId: leo.userId, active: false })
    const { slug } = tenant
    const attempts = [
      ['wrong-password', wrong()],
      ['unknown-login', { ...wrong(), login: 'nobody@example' }],
      ['no-password', { ...wrong(), login }],
      ['inactive', { tenant: slug, login: leo.login, password: passwordOf('Leo') }],
      ['unknown-tenant', { ...right(), tenant: 'no-such-clinic' }],
    ] as const
    const bodies = []
    for (const [, who] of attempts) {
      const refusal = await refusalOf(clinic.signIn(who, { origin: ELSEWHERE }), 'identity/sign-in-failed')
      expect(refusal.recorded).toBe(true)
      bodies.push(renderProblem(refusal, 'request'))
    }
    expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(1)

    const here = (await clinic.readAudit(tenant.tenantId)).filter((event) => event.outcome === 'refused')
    expect(here.map((event) => event.code)).toEqual(['wrong-password', 'unknown-login', 'no-password', 'inactive'])
    expect(here.map((event) => event.resource?.id)).toEqual([alice.userId, undefined, patty, leo.userId])
    expect(here.every((event) => event.actor.userId === null && event.actor.address === ELSEWHERE.address)).toBe(true)
    const system = await clinic.readAudit(SYSTEM_TENANT_ID)
    expect(system.at(-1)).toMatchObject({ action: 'session.create', outcome: 'refused', code: 'unknown-tenant' })
  })

  test('an unknown name costs as much hashing as a known one', async () => {
    const passwords = { ...clinic.passwords }
    let verified = 0
    const deps = {
      ...clinic.deps,
      passwords: {
        ...passwords,
        verify: (...asked: Parameters<typeof passwords.verify>) => {
          verified++
          return passwords.verify(...asked)
        },
      },
    }
    for (const login of [alice.login, 'nobody@example']) {
      const input = { ...wrong(), login, device: { name: 'x' }, refreshTokenIn: 'body' } as const
      await refusalOf(createSession(deps, ELSEWHERE, input), 'identity/sign-in-failed')
    }
    const input = { ...wrong(), tenant: 'no-such-clinic', device: { name: 'x' }, refreshTokenIn: 'body' } as const
    await refusalOf(createSession(deps, ELSEWHERE, input), 'identity/sign-in-failed')
    expect(verified).toBe(3)
  })

  test('guessing slows down, doubles, ends at the maximum, and never locks', async () => {
    for (let failure = 1; failure <= 4; failure++) {
      await refusalOf(clinic.signIn(wrong(), { origin: ELSEWHERE }), 'identity/sign-in-failed')
    }
    const waits: number[] = []
    for (let round = 0; round < 7; round++) {
      const delayed = await refusalOf(clinic.signIn(right(), { origin: ELSEWHERE }), 'identity/sign-in-delayed')
      waits.push(delayed.retryAfterMs!)
      clinic.clock.pass(delayed.retryAfterMs!)
      await refusalOf(clinic.signIn(wrong(), { origin: ELSEWHERE }), 'identity/sign-in-failed')
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
    clinic.clock.pass(30_000)
    await clinic.signIn(right(), { origin: ELSEWHERE })
    // What was right takes everything back.
    await refusalOf(clinic.signIn(wrong(), { origin: ELSEWHERE }), 'identity/sign-in-failed')
    await clinic.signIn(right(), { origin: ELSEWHERE })
  })

  test('trying during the wait does not make it longer', async () => {
    for (let failure = 1; failure <= 6; failure++) {
      await refusalOf(clinic.signIn(wrong(), { origin: ELSEWHERE }))
      clinic.clock.pass(4_000)
    }
    await refusalOf(clinic.signIn(wrong(), { origin: ELSEWHERE }), 'identity/sign-in-failed')
    for (let impatience = 0; impatience < 5; impatience++) {
      await refusalOf(clinic.signIn(right(), { origin: ELSEWHERE }), 'identity/sign-in-delayed')
    }
    clinic.clock.pass(8_000)
    await clinic.signIn(right(), { origin: ELSEWHERE })
  })

  test('a volley of parallel guesses is looked at no further than a slow row of them', async () => {
    const volley = Array.from({ length: 20 }, () => refusalOf(clinic.signIn(wrong(), { origin: ELSEWHERE })))
    const codes = (await Promise.all(volley)).map((refusal) => refusal.code)
    expect(codes.filter((code) => code === 'identity/sign-in-failed')).toHaveLength(4)
    expect(codes.filter((code) => code === 'identity/sign-in-delayed')).toHaveLength(16)
  })

  test('attempts that share their counters in whatever order queue up, and each is counted', async () => {
    const { tenantId } = tenant
    const counters = [1, 2].map((byte) => ({ kind: 'address' as const, keyHash: Buffer.alloc(32, byte) }))
    const attempts = Array.from({ length: 20 }, (_, index) =>
      clinic.db.withTx(inTenant(tenantId), (tx) =>
        beginAttempt(
          tx,
          { tenantId, counters: index % 2 === 0 ? counters : counters.toReversed() },
          clinic.clock.now(),
          30_000,
        ),
      ),
    )
    expect(await Promise.all(attempts)).toEqual(attempts.map(() => 0))
    const rows = await clinic.database.ownerQuery(
      'select failures from sotto.sign_in_failure where key_hash = any($1)',
      [counters.map((counter) => counter.keyHash)],
    )
    expect(rows).toEqual([{ failures: 20 }, { failures: 20 }])
  })

  test('Mallory at the same address cannot make Alice wait at her own workstation', async () => {
    const { device } = alice
    for (let failure = 1; failure <= 4; failure++) await refusalOf(clinic.signIn(wrong()), 'identity/sign-in-failed')
    await refusalOf(clinic.signIn(right()), 'identity/sign-in-delayed')
    const signedIn = await clinic.signIn(right(), { device })
    expect(signedIn.session.deviceId).toBe(device.deviceId)
    expect(signedIn.deviceSecret).toBeNull()
    // Nor does the id of the device help Mallory without its secret.
    const forged = { ...device, deviceSecret: `${device.deviceSecret.slice(0, -1)}_` }
    await refusalOf(clinic.signIn(right(), { device: forged }), 'identity/sign-in-delayed')
  })

  test('the own device of one user is no way around for guessing at another', async () => {
    const mallory = await clinic.hire(tenant, 'Mallory', 'clinician')
    const how = { device: mallory.device, origin: ELSEWHERE }
    for (let failure = 1; failure <= 4; failure++)
      await refusalOf(clinic.signIn(wrong(), how), 'identity/sign-in-failed')
    await refusalOf(clinic.signIn(wrong(), how), 'identity/sign-in-delayed')
  })

  test('one password tried on many people slows the address down', async () => {
    const codes = []
    for (let person = 0; person < 33; person++) {
      const refusal = await refusalOf(
        clinic.signIn({ ...wrong(), login: `person-${person}@example` }, { origin: ELSEWHERE }),
      )
      codes.push(refusal.code)
    }
    expect(codes.indexOf('identity/sign-in-delayed')).toBe(31)
    await clinic.signIn(right(), { origin: { ...ELSEWHERE, address: '203.0.113.67' } })
  })

  test('guessing from many addresses slows down, too, and makes nobody wait who comes with an own device', async () => {
    const from = (index: number) => ({ ...ELSEWHERE, address: `198.51.100.${index}` })
    const codes = []
    for (let index = 1; index <= 60; index++)
      codes.push((await refusalOf(clinic.signIn(wrong(), { origin: from(index) }))).code)
    expect(codes.indexOf('identity/sign-in-delayed')).toBe(21)
    expect(codes.slice(21).every((code) => code === 'identity/sign-in-delayed')).toBe(true)
    const { device } = alice
    await clinic.signIn(right(), { device })
    const waits: number[] = []
    for (let round = 0; round < 6; round++) {
      const delayed = await refusalOf(clinic.signIn(wrong(), { origin: from(100 + round) }), 'identity/sign-in-delayed')
      waits.push(delayed.retryAfterMs!)
      clinic.clock.pass(delayed.retryAfterMs!)
      await refusalOf(clinic.signIn(wrong(), { origin: from(100 + round) }), 'identity/sign-in-failed')
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 8_000, 8_000])
    clinic.clock.pass(8_000)
    await clinic.signIn(right(), { origin: from(200) })
    // What was right does not give the others their guesses back.
    await refusalOf(clinic.signIn(wrong(), { origin: from(201) }), 'identity/sign-in-delayed')
  })

  test('who is sent away because too many wait has not guessed; who comes with an own device is not sent away', async () => {
    const passwords = createPasswordHasher({
      random: systemRandom,
      pepper: clinic.pepper,
      parameters: { memoryKiB: 64, passes: 1, lanes: 1 },
    })
    const deps = { ...clinic.deps, passwords }
    const places: Disposable[] = []
    const takeAll = () => {
      for (;;) places.push(passwords.reserve('unknown'))
    }
    expect(takeAll).toThrow()
    const input = { ...right(), device: { name: 'x' }, refreshTokenIn: 'body' } as const
    const counted = () => clinic.database.ownerQuery('select sum(failures)::int as sum from sotto.sign_in_failure')
    const before = await counted()
    for (let flood = 0; flood < 10; flood++)
      await refusalOf(createSession(deps, ELSEWHERE, input), 'platform/unavailable')
    expect(await counted()).toEqual(before)
    await createSession(deps, ELSEWHERE, { ...input, device: { name: 'x', ...alice.device } })
    for (const place of places) place[Symbol.dispose]()
    await createSession(deps, ELSEWHERE, input)
    // Every place was given back.
    const all = places.length
    places.length = 0
    expect(takeAll).toThrow()
    expect(places).toHaveLength(all)
  })

  test('a device that was revoked, or proves nothing, is a new one at its next sign-in', async () => {
    await clinic.routes.revokeDevice(tenant.ctx, { deviceId: alice.device.deviceId })
    const revoked = await clinic.signIn(right(), { device: alice.device })
    expect(revoked.session.deviceId).not.toBe(alice.device.deviceId)
    expect(deviceOf(revoked).deviceSecret).not.toBe(alice.device.deviceSecret)
    const other = await clinic.signIn(
      { ...right(), login: `ada@${tenant.slug}.example`, password: passwordOf('Ada') },
      { device: deviceOf(revoked) },
    )
    expect(other.session.deviceId).not.toBe(revoked.session.deviceId)
  })

  test('a hash made with lighter parameters is made anew at the next sign-in', async () => {
    const hashOf = async () =>
      (
        await clinic.database.ownerQuery('select hash_encoded from sotto.password_credential where user_id = $1', [
          alice.userId,
        ])
      )[0]!
    const before = await hashOf()
    const heavier = createPasswordHasher({
      random: systemRandom,
      pepper: clinic.pepper,
      parameters: { memoryKiB: 128, passes: 1, lanes: 1 },
    })
    const input = { ...right(), device: { name: 'x' }, refreshTokenIn: 'body' } as const
    await createSession({ ...clinic.deps, passwords: heavier }, WARD, input)
    const after = await hashOf()
    expect(after).not.toEqual(before)
    expect(after['hash_encoded']).toContain('m=128,')
    await createSession({ ...clinic.deps, passwords: heavier }, WARD, input)
    expect(await hashOf()).toEqual(after)
  })

  test('who is deactivated between password and session gets no session', async () => {
    const passwords = {
      ...clinic.passwords,
      verify: async (...asked: Parameters<typeof clinic.passwords.verify>) => {
        const isRight = await clinic.passwords.verify(...asked)
        await clinic.routes.updateUser(tenant.ctx, { userId: alice.userId, active: false })
        return isRight
      },
    }
    const input = { ...right(), device: { name: 'x' }, refreshTokenIn: 'body' } as const
    const refusal = await refusalOf(
      createSession({ ...clinic.deps, passwords }, WARD, input),
      'identity/sign-in-failed',
    )
    expect(refusal.trueReason).toBe('changed-meanwhile')
    await clinic.routes.updateUser(tenant.ctx, { userId: alice.userId, active: true })
    const [row] = await clinic.database.ownerQuery(
      'select count(*)::int as live from sotto.session where user_id = $1 and ended_at is null',
      [alice.userId],
    )
    expect(row).toEqual({ live: 0 })
  })

  test('a sign-in is in the trail with who, which session and from where', async () => {
    const signedIn = await clinic.signIn(right(), { origin: ELSEWHERE })
    const event = (await clinic.readAudit(tenant.tenantId)).at(-1)!
    expect(event).toMatchObject({
      action: 'session.create',
      outcome: 'success',
      resource: { type: 'session', id: signedIn.session.sessionId },
    })
    expect(event.actor).toEqual({
      userId: alice.userId,
      role: 'clinician',
      deviceId: signedIn.session.deviceId,
      sessionId: signedIn.session.sessionId,
      address: ELSEWHERE.address,
    })
  })
})
