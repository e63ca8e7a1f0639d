import { createHash, type KeyObject } from 'node:crypto'
import { deviceIdSchema, roleSchema, sessionIdSchema, tenantIdSchema, userIdSchema } from '@sotto/protocol'
import { errors, jwtVerify, SignJWT } from 'jose'
import { z } from 'zod'
import { createBoundedMap } from '../../platform/crypto/bounded-map.ts'
import { Secret } from '../../platform/phi/phi.ts'
import { problem } from '../../platform/problem/problem.ts'
import { instant, type Clock } from '../../platform/time/clock.ts'
import type { AccessTokens, Claims, SigningKeys } from './claims.model.ts'

/** RFC 9068 §2.1: so that no other kind of token of ours, or of another issuer, is ever taken for one. */
const TYPE = 'at+jwt'
const ALGORITHM = 'ES256'
const AUDIENCE = 'sotto-api'
const TOKEN_CHARACTERS_MAX = 2_000
const VERIFIED_MAX = 10_000
/** How far apart the clocks of two nodes may be. */
const CLOCKS_APART_MS = 60_000

/** A token whose signature was checked once; checking it again at every request would cost more than the request. */
interface Verified {
  readonly claims: Claims
  readonly keyId: string
}

const payloadSchema = z.object({
  tid: tenantIdSchema,
  sub: userIdSchema,
  did: deviceIdSchema,
  sid: sessionIdSchema,
  role: roleSchema,
  iat: z.int(),
  exp: z.int(),
})

/**
 * Access tokens as RFC 9068 has them, checked as RFC 8725 asks: one algorithm, one type, the key by `kid` among our own.
 * @param options.issuer  the deployment, e.g. `urn:sotto:<deployment id>`
 */
export function createAccessTokens(options: {
  readonly issuer: string
  readonly clock: Clock
  readonly signingKeys: SigningKeys
  readonly accessTokenSeconds: number
}): AccessTokens {
  const { issuer, clock, signingKeys, accessTokenSeconds } = options
  const verified = createBoundedMap<Verified>(VERIFIED_MAX)

  async function verifyAnew(token: string): Promise<Verified> {
    const { payload, protectedHeader } = await jwtVerify(token, async (header) => findKey(signingKeys, header.kid), {
      algorithms: [ALGORITHM],
      typ: TYPE,
      issuer,
      audience: AUDIENCE,
      requiredClaims: ['exp', 'iat', 'sub'],
      currentDate: new Date(clock.now()),
    })
    const { tid, sub, did, sid, role, iat, exp } = payloadSchema.parse(payload)
    if (exp - iat > accessTokenSeconds)
      throw problem('identity/unauthenticated', { trueReason: 'token-lives-too-long' })
    const expiresAt = instant(exp * 1000)
    const claims = { tenantId: tid, userId: sub, deviceId: did, sessionId: sid, role, expiresAt }
    return { claims, keyId: protectedHeader.kid! }
  }

  return {
    async issue(claims) {
      const { keyId, privateKey } = await signingKeys.getSigningKey()
      const { tenantId, userId, deviceId, sessionId, role, expiresAt } = claims
      const jwt = new SignJWT({ tid: tenantId, did: deviceId, sid: sessionId, role })
        .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid: keyId })
        .setIssuer(issuer)
        .setAudience(AUDIENCE)
        .setSubject(userId)
        .setIssuedAt(Math.floor(clock.now() / 1000))
        .setExpirationTime(Math.floor(expiresAt / 1000))
      return new Secret(await jwt.sign(privateKey))
    },

    async verify(token) {
      if (token.length > TOKEN_CHARACTERS_MAX)
        throw problem('identity/unauthenticated', { trueReason: 'token-too-long' })
      const cacheKey = createHash('sha256').update(token).digest('base64')
      const known = verified.get(cacheKey)
      const { claims, keyId } = known ?? (await verifyAnew(token).catch(refuse))
      if (known === undefined) verified.set(cacheKey, { claims, keyId })
      // Its key may have been retired since.
      else await findKey(signingKeys, keyId)
      const leftMs = claims.expiresAt - clock.now()
      if (leftMs <= 0) throw problem('identity/token-expired')
      // None lives for so long: the clock was set back since, and must not give the token another life.
      if (leftMs > accessTokenSeconds * 1000 + CLOCKS_APART_MS)
        throw problem('identity/token-expired', { trueReason: 'token-from-the-future' })
      return claims
    },
  }
}

async function findKey(signingKeys: SigningKeys, keyId: string | undefined): Promise<KeyObject> {
  const key = keyId === undefined ? undefined : await signingKeys.findVerifyingKey(keyId)
  if (key === undefined) throw problem('identity/unauthenticated', { trueReason: 'token-key-unknown' })
  return key
}

/** What jose and zod find wrong with a token is a refusal; anything else (the database is gone) is thrown on. */
function refuse(error: unknown): never {
  if (error instanceof errors.JWTExpired) throw problem('identity/token-expired', { cause: error })
  if (error instanceof errors.JOSEError || error instanceof z.ZodError) {
    throw problem('identity/unauthenticated', { cause: error, trueReason: 'token-invalid' })
  }
  throw error
}
