import type { UserId } from '@sotto/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { SYSTEM_TENANT_ID } from '../../platform/context/context.ts'
import { openClinic, passwordOf, refusalOf, WARD, type Clinic, type Tenant } from './clinic.testing.ts'

describe.each(databaseKinds)('on %s', (kind) => {
  let clinic: Clinic
  let tenant: Tenant
  let count = 0

  beforeAll(async () => {
    clinic = await openClinic(kind)
  })
  afterAll(() => clinic[Symbol.asyncDispose]())
  beforeEach(async () => {
    tenant = await clinic.createTenant(`south-${++count}`)
  })

  const operator = { requestId: 'cli-1', address: null }
  const renew = (login?: string, slug = tenant.slug) =>
    clinic.identity.renewAdministratorLink(operator, { slug, login })
  const linkOf = async (login?: string) => {
    const renewed = await renew(login)
    if ('refusal' in renewed) throw new Error(renewed.refusal)
    return renewed.signInLink.token.reveal()
  }
  const redeem = (token: string) =>
    clinic.routes.redeemSignInLink(WARD, {
      token,
      password: passwordOf('Ada, again'),
      device: { name: 'Ada’s laptop' },
      refreshTokenIn: 'body',
    })
  const lastAct = async (tenantId = tenant.tenantId) => (await clinic.readAudit(tenantId)).at(-1)

  test('the only administrator gets a new link, and the older ones end', async () => {
    const { administratorUserId } = tenant
    const byColleague = await clinic.routes.createSignInLink(tenant.ctx, { userId: administratorUserId })
    const first = await linkOf()
    const second = await linkOf(`ADA@${tenant.slug}.example`)
    for (const old of [byColleague.token, first]) await refusalOf(redeem(old), 'identity/link-invalid')
    expect((await redeem(second)).user).toMatchObject({ userId: administratorUserId, role: 'administrator' })
    await refusalOf(redeem(second), 'identity/link-invalid')
  })

  test('it stands in the trail of the tenant, by nobody, from the command line', async () => {
    await linkOf()
    expect(await lastAct()).toMatchObject({
      action: 'sign-in-link.create',
      outcome: 'success',
      actor: { userId: null, address: null },
      resource: { type: 'user', id: tenant.administratorUserId },
      requestId: 'cli-1',
      details: { operator: true },
    })
  })

  test('it ends after its time', async () => {
    const token = await linkOf()
    clinic.clock.pass(clinic.deps.limits.signInLinkSeconds * 1000)
    await refusalOf(redeem(token), 'identity/link-invalid')
  })

  test('nobody else gets one, nothing ends by asking, and each refusal is recorded with its reason', async () => {
    const alice = await clinic.hire(tenant, 'Alice', 'clinician')
    const carol = await clinic.hire(tenant, 'Carol', 'administrator')
    await clinic.routes.updateUser(tenant.ctx, { userId: carol.userId, active: false })
    const userId = clinic.ids.next<UserId>()
    await clinic.routes.createUser(tenant.ctx, {
      userId,
      login: 'bob@example',
      displayName: 'Bob',
      role: 'patient',
      teamIds: [],
    })
    const kept = await clinic.routes.createSignInLink(tenant.ctx, { userId: alice.userId })
    const refusals = [
      ['nobody@example', 'unknown-login', undefined],
      [alice.login, 'not-an-administrator', alice.userId],
      ['bob@example', 'not-an-administrator', userId],
      [carol.login, 'user-inactive', carol.userId],
    ] as const
    for (const [login, refusal, id] of refusals) {
      expect(await renew(login)).toEqual({ refusal })
      const act = await lastAct()
      expect(act).toMatchObject({ action: 'sign-in-link.create', outcome: 'refused', code: refusal })
      expect(act!.resource?.id).toBe(id)
    }
    expect((await redeem(kept.token)).user.userId).toBe(alice.userId)
  })

  test('an unknown tenant is told, and recorded where no tenant is', async () => {
    expect(await renew(undefined, 'no-such-clinic')).toEqual({ refusal: 'unknown-tenant' })
    expect(await lastAct(SYSTEM_TENANT_ID)).toMatchObject({ action: 'sign-in-link.create', code: 'unknown-tenant' })
  })

  test('of several administrators one has to be named', async () => {
    const carol = await clinic.hire(tenant, 'Carol', 'administrator')
    expect(await renew()).toEqual({ refusal: 'several-administrators' })
    expect((await redeem(await linkOf(carol.login))).user.userId).toBe(carol.userId)
    // Whoever is deactivated is not meant.
    await clinic.routes.updateUser(tenant.ctx, { userId: carol.userId, active: false })
    expect(await renew()).toMatchObject({ administratorUserId: tenant.administratorUserId })
  })
})
