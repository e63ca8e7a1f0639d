import { expect, test } from 'vitest'
import { alice } from '../../test-support/people.testing.ts'
import { problem } from '../../test-support/peer.testing.ts'
import { startPeerServer } from '../../test-support/peer-server.testing.ts'
import { systemClock, type Clock } from '../platform/clock.ts'
import { resumeSession, signIn, type ResumeOptions } from './sign-in.ts'
import type { Credentials } from './session.ts'

const who = {
  login: alice,
  password: 'velvet teapot orbit 93',
  deviceName: 'Ward tablet',
  refreshTokenIn: 'body',
} as const

/** A device whose wall clock is years off, and whose time the test moves. */
function shiftedClock(): Clock & { shiftMs: number } {
  const clock = {
    shiftMs: 0,
    now: () => 0,
    monotonicMs: () => systemClock.monotonicMs() + clock.shiftMs,
    setTimer: systemClock.setTimer,
  }
  return clock
}

test('an access token is used until shortly before it expires, then refreshed once for all who ask', async () => {
  await using server = await startPeerServer()
  const clock = shiftedClock()
  await using session = await signIn({ url: server.url, ...who, clock })
  const first = await session.getToken()
  clock.shiftMs += 200_000
  expect(await session.getToken()).toBe(first)
  clock.shiftMs += 100_000
  const [a, b, c] = await Promise.all([session.getToken(), session.getToken(), session.getToken()])
  expect(a).not.toBe(first)
  expect([b, c]).toEqual([a, a])
  expect(server.seen.filter((name) => name === 'refreshSession')).toHaveLength(1)
})

test('requests that were refused together bring one refresh', async () => {
  await using server = await startPeerServer()
  await using session = await signIn({ url: server.url, ...who })
  const refused = await session.getToken()
  await Promise.all([session.getToken(refused), session.getToken(refused)])
  await session.getToken(refused)
  expect(server.seen.filter((name) => name === 'refreshSession')).toHaveLength(1)
})

test('a new refresh token is kept before its access token is used', async () => {
  await using server = await startPeerServer()
  const kept: Credentials[] = []
  let stored = (): void => {}
  const keep = async (credentials: Credentials): Promise<void> => {
    kept.push(credentials)
    if (kept.length > 1) await new Promise<void>((resolve) => (stored = resolve))
  }
  await using session = await signIn({ url: server.url, ...who, keep })
  let given = false
  const waiting = session.getToken(await session.getToken()).then(() => (given = true))
  await expect.poll(() => kept.length).toBe(2)
  expect(given).toBe(false)
  stored()
  await waiting
  await using resumed = await resumeSession({
    url: server.url,
    refreshToken: kept[1]!.refreshToken,
    refreshTokenIn: 'body',
  })
  expect(resumed.userId).toBe(alice)
})

test('a lost network is no reason to end a session; a refused refresh token is', async () => {
  await using server = await startPeerServer()
  await using session = await signIn({ url: server.url, ...who })
  const token = await session.getToken()
  server.swallowNext('refreshSession')
  server.refuseNext('refreshSession', problem('identity/refresh-invalid', 401))
  await expect(session.getToken(token)).rejects.toMatchObject({ code: 'sdk/network', retry: 'after-delay' })
  expect(session.ended).toBeNull()
  let told = 0
  session.onEnded(() => (told += 1))
  await expect(session.getToken(token)).rejects.toMatchObject({ code: 'identity/refresh-invalid' })
  await expect(session.getToken()).rejects.toMatchObject({ code: 'identity/refresh-invalid' })
  expect(told).toBe(1)
})

test('without anything to resume by, the answer is: sign in', async () => {
  await using server = await startPeerServer()
  const options: ResumeOptions = { url: server.url, refreshToken: 'unknown', refreshTokenIn: 'body' }
  await expect(resumeSession(options)).rejects.toMatchObject({ retry: 'after-reauth' })
})
