import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestServer, TEST_PASSWORD, type TestServer } from '../../../../../packages/testkit/src/test-server.ts'

// A whole ward is behind one address; so is Mallory, who asks faster than anybody is let.

let server: TestServer

beforeAll(async () => {
  server = await startTestServer('pglite', { limits: { signInsPerAddressPerSecond: 1, signInsPerAddressBurst: 4 } })
}, 120_000)
afterAll(() => server[Symbol.asyncDispose]())

async function post(path: string, body: object): Promise<{ readonly status: number; readonly body: Answer }> {
  const answer = await fetch(`${server.url}/v1/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ refreshTokenIn: 'body', ...body }),
  })
  return { status: answer.status, body: (await answer.json()) as Answer }
}

interface Answer {
  readonly code?: string
  readonly deviceSecret?: string
  readonly session?: { readonly deviceId: string }
}

test('who signed in here before, or has a one-time link, is let in past a flood of sign-ins', async () => {
  const { slug, ada, alice } = await server.createClinic()
  const who = { tenant: slug, login: alice.login, password: TEST_PASSWORD }
  const first = await post('sessions', { ...who, device: { name: 'Ward tablet' } })
  const { deviceSecret, session } = first.body
  const device = { name: 'Ward tablet', deviceId: session!.deviceId, deviceSecret }

  const guess = () => post('sessions', { ...who, password: 'a guess', device: { name: 'x' } })
  /** What comes in the middle of a flood has no calm moment to slip through. */
  async function amidFlood(ask: () => ReturnType<typeof post>) {
    const before = Array.from({ length: 40 }, guess)
    const answer = ask()
    const flood = await Promise.all([...before, ...Array.from({ length: 10 }, guess)])
    expect(flood.filter(({ body }) => body.code === 'platform/rate-limited').length).toBeGreaterThan(30)
    return answer
  }
  expect((await amidFlood(() => post('sessions', { ...who, device }))).status).toBe(201)

  const { token } = await server.composition.operations.createSignInLink(ada.ctx, { userId: alice.userId })
  const anew = { token, password: `${TEST_PASSWORD} too`, device: { name: 'A new phone' } }
  const redeemed = await amidFlood(() => post('sign-in-links/redeem', anew))
  expect(redeemed.body).toMatchObject({ session: { userId: alice.userId } })
})
