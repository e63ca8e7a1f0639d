import type { DeviceId } from '@sotto/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { describe, expect, test } from 'vitest'
import { Secret } from '../../platform/phi/phi.ts'
import { clearSignInCookies, readSignInCookies, setSignInCookies } from './cookies.ts'
import type { SignedInResult } from './handlers.ts'

const DEVICE = '01a20255-14c0-7de7-a774-79b21244eb24' as DeviceId
const SECRET = `${'a'.repeat(22)}.${'b'.repeat(43)}`

function reply() {
  const cookies: Record<string, Record<string, unknown>> = {}
  const set = (name: string, value: string, options: object) => void (cookies[name] = { value, ...options })
  const clear = (name: string, options: object) => void (cookies[name] = { cleared: true, ...options })
  return { cookies, reply: { setCookie: set, clearCookie: clear } as unknown as FastifyReply }
}

const signedIn = {
  session: { deviceId: DEVICE },
  refreshToken: new Secret('r'),
  deviceSecret: new Secret(SECRET),
} as SignedInResult
const read = (cookies: Record<string, string>) => readSignInCookies({ cookies } as unknown as FastifyRequest)

describe('the cookies of a sign-in', () => {
  test('are out of reach of scripts and of other sites, and sent only where they are of use', () => {
    for (const secure of [true, false]) {
      const { reply: to, cookies } = reply()
      setSignInCookies(to, signedIn, { secure, refreshMaxAgeSeconds: 60 })
      const kept = { httpOnly: true, sameSite: 'strict', secure }
      expect(cookies['sotto-refresh']).toEqual({ ...kept, value: 'r', path: '/v1/sessions', maxAge: 60 })
      expect(cookies['sotto-device']).toMatchObject({ ...kept, value: `${DEVICE}.${SECRET}`, path: '/v1' })
    }
  })

  test('are cleared where they were set, and the device stays known', () => {
    const { reply: to, cookies } = reply()
    clearSignInCookies(to, { secure: true, refreshMaxAgeSeconds: 60 })
    expect(cookies).toEqual({
      'sotto-refresh': { cleared: true, path: '/v1/sessions', httpOnly: true, sameSite: 'strict', secure: true },
    })
  })

  test('come back as they were', () => {
    expect(read({ 'sotto-refresh': 'r', 'sotto-device': `${DEVICE}.${SECRET}` })).toEqual({
      refreshToken: 'r',
      device: { deviceId: DEVICE, deviceSecret: SECRET },
    })
    expect(read({})).toEqual({ refreshToken: undefined, device: undefined })
  })

  test.for([
    `${'-'.repeat(36)}.${SECRET}`,
    DEVICE,
    `${DEVICE}.short`,
    `${DEVICE}.${'x'.repeat(101)}`,
    `${DEVICE}.${SECRET}\u0000`,
    DEVICE.toUpperCase() + '.' + SECRET,
    '',
  ])('that are none of ours are as good as none: %j', (cookie) =>
    expect(read({ 'sotto-device': cookie }).device).toBeUndefined(),
  )
})
