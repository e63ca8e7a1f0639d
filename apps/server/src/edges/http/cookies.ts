import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SignedInResult } from './handlers.ts'

/**
 * First-party pages keep what renews a session where no script can read it: HttpOnly, same-site, and sent to the sessions
 * routes only. Over TLS they are Secure as well; plain HTTP is for loopback, where browsers would drop a Secure cookie.
 */
export interface CookieOptions {
  readonly secure: boolean
  readonly refreshMaxAgeSeconds: number
}

const REFRESH = 'sotto-refresh'
const DEVICE = 'sotto-device'
const DEVICE_SECONDS = 400 * 24 * 3_600

function attributes({ secure }: CookieOptions) {
  return { path: '/v1', httpOnly: true, sameSite: 'strict', secure } as const
}

export function setSignInCookies(reply: FastifyReply, result: SignedInResult, options: CookieOptions): void {
  reply.setCookie(REFRESH, result.refreshToken.reveal(), {
    ...attributes(options),
    maxAge: options.refreshMaxAgeSeconds,
  })
  if (result.deviceSecret === null) return
  const device = `${result.session.deviceId}.${result.deviceSecret.reveal()}`
  reply.setCookie(DEVICE, device, { ...attributes(options), maxAge: DEVICE_SECONDS })
}

/** Signing out forgets the session; the device stays known, so that its next sign-in is not delayed by others' failures. */
export function clearSignInCookies(reply: FastifyReply, options: CookieOptions): void {
  reply.clearCookie(REFRESH, attributes(options))
}

export function readSignInCookies(request: FastifyRequest): {
  readonly refreshToken: string | undefined
  readonly device: { readonly deviceId: string; readonly deviceSecret: string } | undefined
} {
  const [, deviceId, deviceSecret] = /^([0-9a-f-]{36})\.(.{20,200})$/.exec(request.cookies[DEVICE] ?? '') ?? []
  return {
    refreshToken: request.cookies[REFRESH],
    device: deviceId === undefined || deviceSecret === undefined ? undefined : { deviceId, deviceSecret },
  }
}
