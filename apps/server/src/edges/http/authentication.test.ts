import { operations, type Operation, type TenantId, type UserId } from '@sotto/protocol'
import type { FastifyRequest } from 'fastify'
import { describe, expect, test } from 'vitest'
import type { Ctx } from '../../platform/context/context.ts'
import { createTokenBuckets } from '../../platform/limits/token-bucket.ts'
import { Problem, problem } from '../../platform/problem/problem.ts'
import { systemClock } from '../../platform/time/clock.ts'
import { checkAttemptRate, readBearer, recogniseCaller } from './authentication.ts'

const TOKEN = 'a'.repeat(40)
const stopped = { ...systemClock, monotonicMs: () => 0 }

/** Each bucket has two tokens, and gets none. */
function open(identify: (token: string) => Partial<Ctx> = () => ({})) {
  const rate = { perSecond: 0.001, burst: 2 }
  const deps = {
    userRates: createTokenBuckets(stopped, rate),
    addressRates: createTokenBuckets(stopped, rate),
    authenticate: async (token: string, origin: object) => ({ ...origin, purpose: 'TREAT', ...identify(token) }) as Ctx,
  }
  return async (
    operation: Operation,
    ip: string,
    headers: Record<string, string> = { authorization: `Bearer ${TOKEN}` },
  ) => {
    const request = { id: 'r', ip, headers, caller: null } as unknown as FastifyRequest
    try {
      await recogniseCaller(deps, operation, request)
      return request.caller!.purpose as string
    } catch (error) {
      if (error instanceof Problem) return `${error.code} by ${request.caller?.userId ?? 'nobody'}`
      throw error
    }
  }
}

const { listUsers, createSession, refreshSession, getLimits } = operations

describe('rates', () => {
  test("are the user's, wherever the requests come from, and the same id in another tenant is another user", async () => {
    const userId = 'u' as UserId
    const tenants = ['a', 'a', 'a', 'b'] as TenantId[]
    const ask = open(() => ({ userId, tenantId: tenants.shift()! }))
    const said = []
    for (const ip of ['198.51.100.1', '198.51.100.2', '198.51.100.3', '198.51.100.4'])
      said.push(await ask(listUsers, ip))
    expect(said).toEqual(['TREAT', 'TREAT', 'platform/rate-limited by u', 'TREAT'])
  })

  test("are the network's for whom nobody knows: guessing is not free, and costs no user anything", async () => {
    const ask = open((token) => {
      if (token.startsWith('b')) throw problem('identity/unauthenticated')
      return { userId: 'u' as UserId, tenantId: 'a' as TenantId }
    })
    const guess = { authorization: `Bearer ${'b'.repeat(40)}` }
    const guesses = []
    for (let times = 0; times < 3; times++) guesses.push(await ask(listUsers, '2001:db8::1', guess))
    expect(guesses.map((answer) => answer.split(' ')[0])).toEqual([
      'identity/unauthenticated',
      'identity/unauthenticated',
      'platform/rate-limited',
    ])
    // A network of IPv6 has more addresses than anyone counts.
    expect(await ask(listUsers, '2001:db8::ffff:2', guess)).toMatch('platform/rate-limited')
    expect(await ask(listUsers, '2001:db8::1')).toBe('TREAT')
  })

  test('of signing in are apart from those of refreshing and of looking up', async () => {
    const ask = open()
    for (let times = 0; times < 2; times++) expect(await ask(createSession, '198.51.100.1')).toBe('HSYSADMIN')
    expect(await ask(createSession, '198.51.100.1')).toMatch('platform/rate-limited')
    expect(await ask(refreshSession, '198.51.100.1')).toBe('HSYSADMIN')
    expect(await ask(getLimits, '198.51.100.1')).toBe('HSYSADMIN')
    expect(await ask(createSession, '198.51.100.2')).toBe('HSYSADMIN')
  })
})

describe('the rate of attempts to sign in', () => {
  function openAttempts() {
    const addressRates = createTokenBuckets(stopped, { perSecond: 0.001, burst: 2 })
    return (operation: Operation, ip: string, body: unknown) => {
      try {
        checkAttemptRate({ addressRates }, operation, { ip, body })
        return 'passes'
      } catch (error) {
        return (error as Problem).code
      }
    }
  }
  const twice = ['passes', 'passes', 'platform/rate-limited']
  const by = (deviceSecret: unknown) => ({ device: { name: 'x', deviceSecret } })

  test("is the network's for whoever brings nothing from an earlier sign-in", () => {
    const attempt = openAttempts()
    expect([1, 2, 3].map((host) => attempt(createSession, `2001:db8::${host}`, by(undefined)))).toEqual(twice)
    for (const body of [undefined, null, 'x', 7, [], { device: null }, by(''), by(7), by({})])
      expect(attempt(createSession, '2001:db8::9', body)).toBe('platform/rate-limited')
    expect(attempt(createSession, '198.51.100.1', by(undefined))).toBe('passes')
  })

  test('is the device’s own for one that does, and another one’s flood costs it nothing', () => {
    const attempt = openAttempts()
    for (let times = 0; times < 9; times++) attempt(createSession, '198.51.100.1', by(undefined))
    expect([1, 2, 3].map(() => attempt(createSession, '198.51.100.1', by('a secret')))).toEqual(twice)
    expect(attempt(createSession, '198.51.100.1', by('another secret'))).toBe('passes')
  })

  test('is for passwords only: who has a one-time link is let in past every flood', () => {
    const attempt = openAttempts()
    for (let times = 0; times < 9; times++)
      expect(attempt(operations.redeemSignInLink, '198.51.100.1', by(undefined))).toBe('passes')
  })
})

describe('a purpose of use', () => {
  test("is the request's, or that of the role", async () => {
    const ask = open(() => ({ userId: 'u' as UserId }))
    const authorization = `Bearer ${TOKEN}`
    expect(await ask(listUsers, '::1', { authorization, 'sotto-purpose': 'ETREAT' })).toBe('ETREAT')
    expect(await ask(listUsers, '::1', { authorization, 'sotto-purpose': 'CURIOSITY' })).toBe(
      'platform/invalid-input by u',
    )
  })
})

test.for([
  undefined,
  '',
  'Bearer',
  'bearer aaaaaaaaaaaaaaaaaaaaaaaa',
  `Basic ${TOKEN}`,
  `Bearer  ${TOKEN}`,
  `Bearer ${TOKEN} `,
  'Bearer short',
  `Bearer ${'a'.repeat(4_001)}`,
])('%j carries no token', (header) => expect(() => readBearer(header)).toThrow(Problem))
