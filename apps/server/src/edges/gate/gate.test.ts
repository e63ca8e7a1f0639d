import { describe, expect, test } from 'vitest'
import { anonymous, type Ctx } from '../../platform/context/context.ts'
import { SealBroken } from '../../platform/crypto/envelope.ts'
import { DatabaseUnavailable } from '../../platform/db/errors.ts'
import { createLog } from '../../platform/log/log.ts'
import { problem, Problem } from '../../platform/problem/problem.ts'
import { createGate, type Act } from './gate.ts'

const act: Act = { action: 'user.list', activity: true, operation: 'listUsers' }
const alice = { requestId: 'r1', address: null, sessionId: 's1' } as unknown as Ctx

function open(options: { trailFails?: boolean; touchFails?: Error } = {}) {
  const recorded: string[] = []
  const touched: string[] = []
  const lines: string[] = []
  const gate = createGate({
    audit: {
      recordRefusal: async (ctx, { action, code, outcome, resource }) => {
        if (options.trailFails) throw new DatabaseUnavailable('not-applied', 'closed')
        recorded.push(`${ctx.requestId} ${outcome} ${action} ${code} ${resource?.id ?? ''}`.trim())
      },
    },
    log: createLog({ level: 'debug', write: (line) => lines.push(line) }),
    touchSession: async (ctx) => {
      touched.push(ctx.sessionId)
      if (options.touchFails) throw options.touchFails
    },
  })
  const refusalOf = async (fn: () => Promise<unknown>, of: Act = act): Promise<Problem> => {
    const refusal = await gate.run(alice, of, fn).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(Problem)
    return refusal as Problem
  }
  return { gate, recorded, touched, lines, refusalOf }
}

const throwing = (error: unknown) => async () => {
  throw error
}

describe('the gate', () => {
  test('lets through what is done, and notes that somebody is there', async () => {
    const { gate, recorded, touched } = open()
    expect(await gate.run(alice, act, async () => 42)).toBe(42)
    expect(await gate.run(alice, { ...act, activity: false }, async () => 43)).toBe(43)
    expect(await gate.run(anonymous(alice), act, async () => 44)).toBe(44)
    expect(touched).toEqual(['s1'])
    expect(recorded).toEqual([])
  })

  test('notes nothing when an act is refused: who may not do it cannot keep a session alive with it', async () => {
    const { refusalOf, touched } = open()
    await refusalOf(throwing(problem('access/denied')))
    await refusalOf(throwing(problem('platform/invalid-input')))
    await refusalOf(throwing(new DatabaseUnavailable('not-applied', 'closed')))
    expect(touched).toEqual([])
  })

  test.each([problem('identity/session-ended'), new DatabaseUnavailable('not-applied', 'closed')])(
    'answers what is done, also when that somebody is there cannot be noted: %s',
    async (touchFails) => {
      const { gate, recorded, touched } = open({ touchFails })
      expect(await gate.run(alice, act, async () => 42)).toBe(42)
      expect(touched).toEqual(['s1'])
      expect(recorded).toEqual([])
    },
  )

  test('records a refusal once, with its true reason, however often it passes', async () => {
    const { gate, refusalOf, recorded } = open()
    const resource = { type: 'conversation', id: 'c1' }
    const refusal = await refusalOf(throwing(problem('access/not-found', { trueReason: 'not-a-member' })), {
      ...act,
      resource,
    })
    expect(refusal.recorded).toBe(true)
    expect(await gate.refuse(alice, act, refusal)).toBe(refusal)
    expect(recorded).toEqual(['r1 refused user.list not-a-member c1'])
  })

  test('records what belongs to no action as a request that was refused', async () => {
    const { refusalOf, recorded } = open()
    await refusalOf(throwing(problem('platform/malformed')), { ...act, action: { unaudited: 'a public document' } })
    expect(recorded).toEqual(['r1 refused request.refuse platform/malformed'])
  })

  test('answers a retryable problem instead of a refusal that cannot be recorded', async () => {
    const { refusalOf } = open({ trailFails: true })
    const refusal = await refusalOf(throwing(problem('access/denied')))
    expect([refusal.code, refusal.retryAfterMs]).toEqual(['platform/unavailable', 1_000])
  })

  test('tells a failure of the server to the log and the trail, once and without its words', async () => {
    const { gate, refusalOf, recorded, lines } = open()
    const refusal = await refusalOf(throwing(new Error('the patient is Bob')))
    expect(refusal.code).toBe('platform/internal')
    await gate.refuse(alice, act, refusal)
    expect(recorded).toEqual(['r1 failed user.list platform/internal'])
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('"requestId":"r1"')
    expect(lines[0]).not.toContain('Bob')
  })

  test('alarms the operator when something sealed does not open, with its ids if they are known', async () => {
    const { gate, refusalOf, recorded, lines } = open()
    const refusal = await refusalOf(throwing(new SealBroken()))
    expect([refusal.code, refusal.spec.status, refusal.spec.retry]).toEqual(['keys/tampered', 500, 'never'])
    await gate.refuse(alice, act, refusal)
    const tampered = { kind: 'entry', id: 'e1', conversationId: 'c1' } as const
    await refusalOf(throwing(problem('keys/tampered', { tampered })))
    const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(told.map(({ level, event, sealedKind, sealedId }) => [level, event, sealedKind, sealedId])).toEqual([
      [50, 'keys.tampered', undefined, undefined],
      [50, 'keys.tampered', 'entry', 'e1'],
    ])
    expect(told[1]).toMatchObject({ requestId: 'r1', operation: 'listUsers', conversationId: 'c1' })
    expect(recorded).toEqual(['r1 failed user.list keys/tampered', 'r1 failed user.list keys/tampered'])
  })

  test('answers its own failure as what it is, also when that cannot be recorded', async () => {
    const { refusalOf, lines } = open({ trailFails: true })
    expect((await refusalOf(throwing(new Error('the patient is Bob')))).code).toBe('platform/internal')
    expect(lines).toHaveLength(2)
  })

  test('says of a database that is gone that it will come back', async () => {
    const { refusalOf, recorded } = open()
    expect((await refusalOf(throwing(new DatabaseUnavailable('unknown', 'closed')))).code).toBe('platform/unavailable')
    expect(recorded).toEqual([])
  })
})
