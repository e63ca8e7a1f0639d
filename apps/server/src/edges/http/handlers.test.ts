import { afterAll, beforeAll, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { TEST_PASSWORD } from '../../../../../packages/testkit/src/test-server.ts'
import { openWard, type Clinic, type Ward } from '../../domains/conversations/ward.testing.ts'

let ward: Ward
let clinic: Clinic

beforeAll(async () => {
  ward = await openWard(databaseKinds[0]!)
  clinic = await ward.createClinic()
})
afterAll(() => ward[Symbol.asyncDispose]())

async function ask(path: string, body: object, cookies = '') {
  const answer = await fetch(`${ward.url}/v1/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', cookie: cookies },
    body: JSON.stringify(body),
  })
  const set = answer.headers.getSetCookie().map((cookie) => cookie.split(';')[0]!)
  return { status: answer.status, text: await answer.text(), cookies: set }
}

test.each([{}, { refreshTokenIn: 'body' }, { refreshTokenIn: 'cookie' }])(
  'a refresh token that came in a cookie is only ever answered in a cookie, asked with %j',
  async (body) => {
    const signedIn = await ask('sessions', {
      tenant: clinic.slug,
      login: 'bob',
      password: TEST_PASSWORD,
      device: { name: 'A device' },
      refreshTokenIn: 'cookie',
    })
    expect(JSON.parse(signedIn.text)).toMatchObject({ refreshToken: null, deviceSecret: null })
    const refreshed = await ask('sessions/refresh', body, signedIn.cookies.join('; '))
    expect(refreshed.status).toBe(200)
    expect(JSON.parse(refreshed.text)).toMatchObject({ refreshToken: null, deviceSecret: null })
    const [name, token] = refreshed.cookies[0]!.split('=')
    expect(name).toBe('sotto-refresh')
    expect(refreshed.text).not.toContain(token)
    // And the new one works.
    expect((await ask('sessions/refresh', {}, refreshed.cookies.join('; '))).status).toBe(200)
  },
)

test('a refresh token that came in the body is answered there, whatever cookies came with it', async () => {
  const who = { tenant: clinic.slug, login: 'bob', password: TEST_PASSWORD, device: { name: 'A device' } }
  const { cookies } = await ask('sessions', { ...who, refreshTokenIn: 'cookie' })
  const { refreshToken } = JSON.parse((await ask('sessions', who)).text) as { readonly refreshToken: string }
  const refreshed = await ask('sessions/refresh', { refreshToken }, cookies.join('; '))
  expect((JSON.parse(refreshed.text) as { readonly refreshToken: unknown }).refreshToken).toBeTypeOf('string')
  expect(refreshed.cookies).toEqual([])
})
