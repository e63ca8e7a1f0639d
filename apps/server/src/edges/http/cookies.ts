import { deviceIdSchema } from '@sotto/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SignedInResult } from './handlers.ts'

/**
 * First-party pages keep what renews a session where no script can read it: HttpOnly, same-site, and sent only where it is
 * of use. Over TLS they are Secure as well; plain HTTP is for loopback, where browsers would drop a Secure cookie.
 */
export interface CookieOptions {
  readonly secure: boolean
  readonly refreshMaxAgeSeconds: number
}

const REFRESH = 'sotto-refresh'
const DEVICE = 'sotto-device'
const DEVICE_SECONDS = 400 * 24 * 3_600

/** A session is renewed and ended under one path; a device signs in there and by its link. */
const REFRESH_PATH = '/v1/sessions'
const DEVICE_PATH = '/v1'

function attributes({ secure }: CookieOptions, path: string) {
  return { path, httpOnly: true, sameSite: 'strict', secure } as const
}

export function setSignInCookies(reply: FastifyReply, result: SignedInResult, options: CookieOptions): void {
  reply.setCookie(REFRESH, result.refreshToken.reveal(), {
    ...attributes(options, REFRESH_PATH),
    maxAge: options.refreshMaxAgeSeconds,
  })
  if (result.deviceSecret === null) return
  const device = `${result.session.deviceId}.${result.deviceSecret.reveal()}`
  reply.setCookie(DEVICE, device, { ...attributes(options, DEVICE_PATH), maxAge: DEVICE_SECONDS })
}

/** Signing out forgets the session; the device stays known, so that its next sign-in is not delayed by others' failures. */
export function clearSignInCookies(reply: FastifyReply, options: CookieOptions): void {
  reply.clearCookie(REFRESH, attributes(options, REFRESH_PATH))
}

/** A cookie is input like any other: what is not one of ours is as good as none. */
export function readSignInCookies(request: FastifyRequest): {
  readonly refreshToken: string | undefined
  readonly device: { readonly deviceId: string; readonly deviceSecret: string } | undefined
} {
  const [, deviceId, deviceSecret] = /^([^.]{36})\.([\w.~-]{20,100})$/.exec(request.cookies[DEVICE] ?? '') ?? []
  const isDevice = deviceIdSchema.safeParse(deviceId).success && deviceSecret !== undefined
  return {
    refreshToken: request.cookies[REFRESH]?.slice(0, 200),
    device: isDevice ? { deviceId: deviceId!, deviceSecret } : undefined,
  }
}
