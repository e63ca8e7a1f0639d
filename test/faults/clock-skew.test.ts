/** @feature A3 D1 */
import type { AuditEvent, ConversationId, Entry, EntryId, SignedIn } from '@sotto/protocol'
import {
  connectTestSocket,
  databaseKinds,
  loadLimits,
  openTestSocket,
  startTestServer,
  TEST_PASSWORD,
  type Clinic,
  type TestServer,
  type TestSocket,
} from '@sotto/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Clock } from '../../apps/server/src/platform/time/clock.ts'
import { ask } from './outage.ts'
import { call, HttpRefused, newEntryId, readLog } from './senders.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Says the time that the test wants; durations go on as they are. */
interface SkewedClock extends Clock {
  jump(ms: number): void
}

function createSkewedClock(): SkewedClock {
  let skewMs = 0
  return {
    now: () => (Date.now() + skewMs) as ReturnType<Clock['now']>,
    monotonicMs: () => performance.now(),
    jump: (ms) => void (skewMs += ms),
  }
}

/** What was acknowledged, and what the server's clock said before it was sent and after it was answered. */
interface Told {
  readonly entryId: EntryId
  readonly seq: number
  readonly from: number
  readonly to: number
}

describe.each(databaseKinds)('the server’s clock on %s', (kind) => {
  const clock = createSkewedClock()
  const told: Told[] = []
  let server: TestServer
  let clinic: Clinic
  let conversationId: ConversationId

  beforeAll(async () => {
    // A wait that was told must be short enough to be waited for.
    server = await startTestServer(kind, { clock, env: loadLimits, limits: { signInDelayMsMax: 2_000 } })
    clinic = await server.createClinic()
    conversationId = server.composition.ids.next<ConversationId>()
    await server.composition.operations.createConversation(clinic.alice.ctx, {
      conversationId,
      kind: 'group',
      mode: 'managed',
      title: 'Ward 3',
      subjectUserId: null,
      history: 'full',
      memberIds: [clinic.bob.userId, clinic.grace.userId],
    })
  }, 120_000)

  afterAll(async () => await server?.[Symbol.asyncDispose]())

  const enter = (login: string, password = TEST_PASSWORD): Promise<SignedIn> =>
    call(server.url, 'POST', '/v1/sessions', undefined, {
      tenant: clinic.slug,
      login,
      password,
      device: { name: 'A device' },
      refreshTokenIn: 'body',
    })
  const refresh = ({ refreshToken }: SignedIn): Promise<SignedIn> =>
    call(server.url, 'POST', '/v1/sessions/refresh', undefined, { refreshToken, refreshTokenIn: 'body' })
  const codeOf = (attempt: Promise<unknown>): Promise<string | undefined> =>
    attempt.then(
      () => undefined,
      (error: unknown) => (error instanceof HttpRefused ? error.code : String(error)),
    )
  const list = ({ accessToken }: SignedIn) => call(server.url, 'GET', '/v1/conversations', accessToken)

  async function send(socket: TestSocket, more: object = {}): Promise<Told> {
    const from = clock.now()
    const entryId = newEntryId()
    const payload = { v: 1 as const, type: 'text' as const, text: 'Good morning' }
    const { seq } = await socket.command('message.send', { conversationId, entryId, payload, ...more })
    const one = { entryId, seq, from, to: clock.now(), ...more }
    told.push(one)
    return one
  }

  test('may be set back by an hour: sockets go on, tokens get no second life, nobody is locked out', async () => {
    const [alice, tabs] = [await enter('alice'), await enter('alice')]
    const rotated = await refresh(tabs)
    const socket = await openTestSocket(server.url, alice.accessToken)
    for (let failure = 0; failure < 6; failure++) await codeOf(enter('carmen', 'not her password at all'))
    await send(socket)
    clock.jump(-HOUR)
    await send(socket)
    expect(await codeOf(list(alice))).toBe('identity/token-expired')
    const renewed = await refresh(alice)
    await list(renewed)
    await send(await openTestSocket(server.url, renewed.accessToken))
    // The one before was good for ten seconds, which are over.
    expect(await codeOf(refresh(tabs))).toBe('identity/refresh-invalid')
    expect(await codeOf(refresh(rotated))).toBe('identity/session-ended')
    const body = { tenant: clinic.slug, login: 'carmen', password: TEST_PASSWORD, device: { name: 'A device' } }
    const answer = await ask(server.url, 'POST', '/v1/sessions', { body })
    const waitMs = (answer.body as { retryAfterMs?: number }).retryAfterMs ?? 0
    expect(waitMs).toBeLessThanOrEqual(2_000)
    await new Promise((resolve) => setTimeout(resolve, waitMs))
    await enter('carmen')
  })

  test('may jump by an hour: who was idle signs in again, and all goes on', async () => {
    const alice = await enter('alice')
    const socket = await openTestSocket(server.url, alice.accessToken)
    await send(socket)
    const { ticket } = await call<{ ticket: string }>(server.url, 'POST', '/v1/socket-tickets', alice.accessToken)
    clock.jump(2 * HOUR)
    expect(await codeOf(list(alice))).toBe('identity/token-expired')
    expect(await codeOf(refresh(alice))).toBe('identity/session-ended')
    await expect(send(socket)).rejects.toThrow('identity/session-ended')
    expect(await upgradeStatus(ticket)).toBe(401)
    await send(await openTestSocket(server.url, (await enter('alice')).accessToken))
  })

  async function upgradeStatus(ticket: string): Promise<number | undefined> {
    const error: unknown = await connectTestSocket(server.url, ticket).catch((reason: unknown) => reason)
    return Number(/response: (\d+)/.exec(String(error))?.[1])
  }

  test('may jump by three days and come back: sessions end, sockets with them, and nothing else breaks', async () => {
    const bob = await enter('bob')
    const socket = await openTestSocket(server.url, bob.accessToken)
    await send(socket)
    clock.jump(3 * DAY)
    // The job looks every ten seconds.
    expect(await socket.closed).toBe(4401)
    const { identity, deliveries } = server.composition
    await identity.purgeExpired()
    await deliveries.purgeExpired()
    await deliveries.sweep()
    const later = await enter('bob')
    const there = await openTestSocket(server.url, later.accessToken)
    await send(there)
    clock.jump(-3 * DAY)
    await send(there)
    expect(await codeOf(list(later))).toBe('identity/token-expired')
    await list(await refresh(later))
    await send(await openTestSocket(server.url, (await enter('bob')).accessToken))
  })

  test('is the one that counts: a client’s may be years off, and so may the birth in the ids it makes', async () => {
    const socket = await openTestSocket(server.url, (await enter('alice')).accessToken)
    const random = () => crypto.randomUUID().slice(15)
    const births = ['00000000-0000-7', '01000000-0000-7', 'ffffffff-ffff-7'] as const
    for (const birth of births) await send(socket, { entryId: `${birth}${random()}` as EntryId })
    for (const clientSentAt of ['1999-12-31T23:59:59.999Z', '2099-01-01T00:00:00.000Z'])
      await send(socket, { clientSentAt })
  })

  test('has no say in the order: logs are in the order of seq, and the trail has the instants of the server', async () => {
    const alice = await enter('alice')
    const log: readonly Entry[] = await readLog(server.url, alice.accessToken, conversationId)
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1))
    expect(told.map(({ seq }) => seq)).toEqual(told.map((_, index) => index + 2))
    const cora = await enter('cora')
    const query = `resourceId=${conversationId}&action=message.send&outcome=success&limit=200`
    const page = await call<{ items: AuditEvent[] }>(
      ...([server.url, 'GET', `/v1/audit-events?${query}`, cora.accessToken] as const),
    )
    const recorded = new Map(page.items.map((event) => [String(event.details['entryId']), Date.parse(event.at)]))
    expect(recorded.size).toBe(told.length)
    for (const { entryId, seq, from, to } of told) {
      const entry = log[seq - 1]!
      expect(entry.entryId).toBe(entryId)
      for (const at of [Date.parse(entry.at), recorded.get(entryId)!]) {
        expect(at).toBeGreaterThanOrEqual(from)
        expect(at).toBeLessThanOrEqual(to)
      }
    }
    const [before] = told
    const window = `from=${new Date(before!.from).toISOString()}&to=${new Date(before!.to + 1).toISOString()}`
    const within = await call<{ items: AuditEvent[] }>(
      ...([server.url, 'GET', `/v1/audit-events?${query}&${window}`, cora.accessToken] as const),
    )
    expect(within.items.map((event) => event.details['entryId'])).toContain(before!.entryId)
  })
})
