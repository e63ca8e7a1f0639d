import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { SYSTEM_TENANT_ID } from '../../platform/context/context.ts'
import { renderProblem } from '../../platform/problem/problem.ts'
import { ELSEWHERE, openClinic, passwordOf, refusalOf, type Clinic, type Tenant } from './clinic.testing.ts'

describe.each(databaseKinds)('on %s: a sign-in without a tenant', (kind) => {
  let clinic: Clinic
  let tenant: Tenant
  const ada = () => ({ login: `ada@${tenant.slug}.example`, password: passwordOf('Ada') })
  const answerTo = async (who: Parameters<Clinic['signIn']>[0]) =>
    renderProblem(await refusalOf(clinic.signIn(who, { origin: ELSEWHERE })), 'request')

  beforeAll(async () => {
    clinic = await openClinic(kind)
  })
  afterAll(() => clinic[Symbol.asyncDispose]())

  test('is refused like a wrong password where there is no tenant yet', async () => {
    const refusal = await refusalOf(clinic.signIn({ login: 'ada@example', password: 'x' }), 'identity/sign-in-failed')
    expect(refusal.trueReason).toBe('unknown-tenant')
  })

  test('is one at the tenant of the deployment where there is one', async () => {
    tenant = await clinic.createTenant('north')
    const signedIn = await clinic.signIn(ada())
    expect(signedIn.user.userId).toBe(tenant.administratorUserId)
    expect((await clinic.ctxOf(signedIn)).tenantId).toBe(tenant.tenantId)
    await refusalOf(clinic.signIn({ ...ada(), password: 'not hers' }), 'identity/sign-in-failed')
    expect((await clinic.readAudit(tenant.tenantId)).at(-1)).toMatchObject({ code: 'wrong-password' })
  })

  test('is refused where there are several, with the answer to a wrong password, whatever was typed', async () => {
    await clinic.createTenant('south')
    const { slug } = tenant
    const answers = [
      await answerTo({ ...ada(), tenant: slug, password: 'not hers' }),
      await answerTo(ada()),
      await answerTo({ ...ada(), password: 'not hers' }),
      await answerTo({ login: 'nobody@example', password: 'x' }),
      await answerTo({ ...ada(), tenant: 'no-such-clinic' }),
    ]
    expect(answers[0]).toMatchObject({ code: 'identity/sign-in-failed', status: 401 })
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
    expect((await clinic.readAudit(SYSTEM_TENANT_ID)).slice(-4).map(({ code }) => code)).toEqual(
      Array(4).fill('unknown-tenant'),
    )
    await clinic.signIn({ ...ada(), tenant: slug })
  })

  test('and is slowed down like any guessing', async () => {
    const codes = []
    for (let times = 0; times < 5; times++) codes.push((await answerTo({ login: 'carl@example', password: 'x' })).code)
    expect(codes.at(-1)).toBe('identity/sign-in-delayed')
  })
})
