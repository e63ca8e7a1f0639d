import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { SignJWT } from 'jose'
import type { DeviceId, SessionId, UserId } from '@sotto/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { SYSTEM_TENANT_ID } from '../../platform/context/context.ts'
import { Secret } from '../../platform/phi/phi.ts'
import { instant } from '../../platform/time/clock.ts'
import { createAccessTokens } from './access-tokens.ts'
import { authenticate } from './authenticate.ts'
import { MINUTE_MS, openClinic, refusalOf, WARD, type Clinic } from './clinic.testing.ts'
import { purgeExpiredIdentity } from './purge-expired-identity.ts'
import { createSigningKeys } from './signing-keys.ts'

describe.each(databaseKinds)('on %s', (kind) => {
  let clinic: Clinic
  beforeAll(async () => {
    clinic = await openClinic(kind)
  })
  afterAll(() => clinic[Symbol.asyncDispose]())

  /** A node's keys and tokens, with no memory of what other nodes did. */
  function newNode(issuer = 'urn:sotto:test') {
    const { clock, db, ids, sealer, audit } = clinic
    const sealingKey = clinic.sealingKey
    const signingKeys = createSigningKeys({ db, clock, ids, sealer, audit, sealingKey })
    return { signingKeys, tokens: createAccessTokens({ issuer, clock, signingKeys, accessTokenSeconds: 300 }) }
  }
  const newClaims = (seconds = 300) => ({
    tenantId: SYSTEM_TENANT_ID,
    userId: clinic.ids.next<UserId>(),
    deviceId: clinic.ids.next<DeviceId>(),
    sessionId: clinic.ids.next<SessionId>(),
    role: 'clinician' as const,
    expiresAt: instant((Math.floor(clinic.clock.now() / 1000) + seconds) * 1000),
  })
  const verify = (node: ReturnType<typeof newNode>, token: Secret<string>) =>
    authenticate({ accessTokens: node.tokens }, token)

  test('what one node signs, every node believes', async () => {
    const [one, other] = [newNode(), newNode()]
    const claims = newClaims()
    const token = await one.tokens.issue(claims)
    expect(await verify(other, token)).toEqual(claims)
    expect(await verify(other, token)).toEqual(claims)
  })

  test('a token ends with its time, also where it was verified before', async () => {
    const node = newNode()
    const token = await node.tokens.issue(newClaims())
    await verify(node, token)
    clinic.clock.pass(300_000)
    await refusalOf(verify(node, token), 'identity/token-expired')
    await refusalOf(verify(newNode(), token), 'identity/token-expired')
  })

  test('nothing that is not exactly ours is believed', async () => {
    const node = newNode()
    const { keyId, privateKey } = await node.signingKeys.getSigningKey()
    const { privateKey: foreignKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const claims = newClaims()
    const now = Math.floor(clinic.clock.now() / 1000)
    const build = (change: {
      header?: Record<string, unknown>
      payload?: Record<string, unknown>
      issuer?: string
      audience?: string
      lifeSeconds?: number
    }) =>
      new SignJWT({
        tid: claims.tenantId,
        did: claims.deviceId,
        sid: claims.sessionId,
        role: claims.role,
        ...change.payload,
      })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: keyId, ...change.header })
        .setIssuer(change.issuer ?? 'urn:sotto:test')
        .setAudience(change.audience ?? 'sotto-api')
        .setSubject(claims.userId)
        .setIssuedAt(now)
        .setExpirationTime(now + (change.lifeSeconds ?? 300))
    const good = await build({}).sign(privateKey)
    expect(await verify(node, new Secret(good))).toEqual(claims)
    const [header, payload, signature] = good.split('.') as [string, string, string]
    const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'at+jwt', kid: keyId })).toString('base64url')
    const altered = Buffer.from(
      Buffer.from(payload, 'base64url').toString().replace('clinician', 'administrator'),
    ).toString('base64url')
    const bad = {
      'another key': await build({}).sign(foreignKey),
      'an unknown kid': await build({ header: { kid: 'another' } }).sign(privateKey),
      'no kid': await build({ header: { kid: undefined } }).sign(privateKey),
      'another type': await build({ header: { typ: 'JWT' } }).sign(privateKey),
      'another issuer': await build({ issuer: 'urn:sotto:other' }).sign(privateKey),
      'another audience': await build({ audience: 'other' }).sign(privateKey),
      'a role that does not exist': await build({ payload: { role: 'root' } }).sign(privateKey),
      'a session that is no id': await build({ payload: { sid: '*' } }).sign(privateKey),
      'too long a life': await build({ lifeSeconds: 301 }).sign(privateKey),
      'the algorithm none': `${none}.${payload}.`,
      'an HMAC under the public key': await hmacUnderPublicKey(keyId, payload),
      'an altered payload': `${header}.${altered}.${signature}`,
      'half of it': good.slice(0, good.length / 2),
      nothing: '',
      'very much': 'x'.repeat(100_000),
    }
    for (const [what, token] of Object.entries(bad)) {
      const outcome = await verify(node, new Secret(token)).then(
        () => 'believed',
        (error: { code?: string }) => error.code,
      )
      expect([what, outcome]).toEqual([what, 'identity/unauthenticated'])
    }
  })

  async function hmacUnderPublicKey(kid: string, payload: string): Promise<string> {
    const [jwk] = await newNode().signingKeys.listPublicKeys()
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid })
      .sign(Buffer.from(jwk!.x!, 'base64url'))
  }

  test('after a rotation the new key signs and the old one verifies on for the life of its tokens', async () => {
    const [one, other] = [newNode(), newNode()]
    const before = await other.tokens.issue(newClaims())
    await one.signingKeys.rotate(WARD)
    const after = await one.tokens.issue(newClaims())
    await verify(other, after)
    await verify(one, before)
    // The other node signs with the new key, too, as soon as it looks again.
    clinic.clock.pass(MINUTE_MS)
    const keyIds = await Promise.all([one, other].map(async (node) => (await node.signingKeys.getSigningKey()).keyId))
    expect(new Set(keyIds).size).toBe(1)
    clinic.clock.pass(6 * MINUTE_MS)
    expect(await one.signingKeys.listPublicKeys()).toHaveLength(1)
    const event = (await clinic.readAudit(SYSTEM_TENANT_ID)).at(-1)!
    expect(event).toMatchObject({ action: 'key.rotate', resource: { type: 'token-signing-key' } })
  })

  test('a stolen key is believed by nobody from the next look on', async () => {
    const [one, other] = [newNode(), newNode()]
    const stolen = await other.tokens.issue(newClaims())
    await verify(one, stolen)
    await one.signingKeys.rotate(WARD, { isStolen: true })
    await refusalOf(verify(newNode(), stolen), 'identity/unauthenticated')
    clinic.clock.pass(MINUTE_MS)
    await refusalOf(verify(one, stolen), 'identity/unauthenticated')
    await refusalOf(verify(other, stolen), 'identity/unauthenticated')
  })

  test('the private keys are unreadable at rest, and the public ones carry nothing private', async () => {
    const node = newNode()
    const { privateKey } = await node.signingKeys.getSigningKey()
    const rows = await clinic.database.ownerQuery('select private_key_encrypted from sotto.token_signing_key')
    const secret = Buffer.from(privateKey.export({ format: 'jwk' }).d!, 'base64url')
    for (const row of rows) {
      const stored = Buffer.from(row['private_key_encrypted'] as Uint8Array)
      expect(stored.includes(secret)).toBe(false)
      expect(() => createPrivateKey({ key: stored, format: 'der', type: 'pkcs8' })).toThrow()
    }
    for (const jwk of await node.signingKeys.listPublicKeys()) expect(jwk).not.toHaveProperty('d')
  })

  test('housekeeping deletes what is over and nothing that lives', async () => {
    const tenant = await clinic.createTenant('lake')
    const alice = await clinic.hire(tenant, 'Alice', 'clinician')
    await clinic.routes.createSocketTicket(alice.ctx)
    await clinic.refresh(alice.signedIn)
    const rowsOf = async () => {
      const tables = ['refresh_token', 'socket_ticket', 'sign_in_link', 'sign_in_failure', 'session']
      const counts = await Promise.all(
        tables.map((table) =>
          clinic.database.ownerQuery(`select count(*)::int as n from sotto.${table} where tenant_id = $1`, [
            tenant.tenantId,
          ]),
        ),
      )
      return counts.map(([row]) => row!['n'])
    }
    const before = await rowsOf()
    await purgeExpiredIdentity(clinic.db)
    // Links are used but not over.
    expect(await rowsOf()).toEqual(before)
    await clinic.database.ownerQuery(`
      update sotto.refresh_token set expires_at = now() - interval '1 second';
      update sotto.socket_ticket set expires_at = now() - interval '1 second';
      update sotto.sign_in_link set expires_at = now() - interval '1 second';
      update sotto.sign_in_failure set last_failed_at = now() - interval '2 days';
      update sotto.session set absolute_expires_at = now() - interval '2 days' where session_id = '${alice.ctx.sessionId}'`)
    expect(await purgeExpiredIdentity(clinic.db)).toBeGreaterThan(0)
    expect(await rowsOf()).toEqual([0, 0, 0, 0, 1])
    expect(await purgeExpiredIdentity(clinic.db)).toBe(0)
  })
})
