import type { DeviceId, SessionId, UserId } from '@sotto/protocol'
import { describe, expect, test } from 'vitest'
import { instant } from '../../platform/time/clock.ts'
import { judgeRefresh, renderSession, whyOver, type StoredSession } from './session.model.ts'

const limits = { sessionIdleSeconds: 900, sessionAbsoluteSeconds: 43_200 }
const start = instant(Date.UTC(2026, 2, 1, 7))
const after = (seconds: number) => instant(start + seconds * 1000)

const session: StoredSession = {
  session_id: 'session' as SessionId,
  user_id: 'alice' as UserId,
  device_id: 'phone' as DeviceId,
  created_at: start,
  last_active_at: start,
  absolute_expires_at: after(43_200),
  ended_at: null,
  end_reason: null,
  revoked_at: null,
  active: true,
  role: 'clinician',
}

describe('a session is over', () => {
  test.each([
    ['just begun', {}, 0, undefined],
    ['a moment before it is idle', {}, 899.999, undefined],
    ['idle', {}, 900, 'session-idle'],
    ['active to the last second of twelve hours', { last_active_at: after(43_199) }, 43_199.999, undefined],
    ['active beyond them', { last_active_at: after(43_199) }, 43_200, 'session-expired'],
    ['signed out', { ended_at: start, end_reason: 'signed-out' as const }, 1, 'session-signed-out'],
    ['on a revoked device', { revoked_at: start }, 1, 'device-revoked'],
    ['of a user who is not active', { active: false }, 1, 'user-inactive'],
  ])('%s', (_, change, seconds, reason) => {
    expect(whyOver({ ...session, ...change }, limits, after(seconds))).toBe(reason)
  })

  test('later when this node has seen an act that is not written yet, but never past its end', () => {
    expect(whyOver(session, limits, after(920), after(25))).toBeUndefined()
    expect(whyOver(session, limits, after(925), after(25))).toBe('session-idle')
    expect(whyOver(session, limits, after(43_200), after(43_199))).toBe('session-expired')
  })
})

test('the idle end that is shown never lies behind the absolute one', () => {
  const late = { ...session, last_active_at: after(43_000) }
  expect(renderSession(late, limits, session.session_id).idleExpiresAt).toBe(
    renderSession(late, limits, session.session_id).absoluteExpiresAt,
  )
})

describe('a refresh token', () => {
  const judge = (generation: number, seconds: number) =>
    judgeRefresh({ generation, currentGeneration: 5, rotatedAt: start }, 10, after(seconds))

  test.each([
    [5, 0, 'rotate'],
    [5, 100_000, 'rotate'],
    [4, 0, 'repeat'],
    [4, 10, 'repeat'],
    [4, 10.001, 'reuse'],
    [4, -3_600, 'reuse'],
    [3, 0, 'reuse'],
    [1, 0, 'reuse'],
  ] as const)('of generation %i of 5, %d seconds after the rotation: %s', (generation, seconds, verdict) => {
    expect(judge(generation, seconds)).toBe(verdict)
  })
})
