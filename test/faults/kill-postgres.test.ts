/** @feature A3 J1 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ConversationId } from '@sotto/protocol'
import {
  databaseKinds,
  loadLimits,
  openTestSocket,
  prepareEmptyPostgres,
  readDemo,
  startPostgresServer,
  startServerProcess,
  type DemoSignIns,
  type TestSocket,
} from '@sotto/testkit'
import { expect, test } from 'vitest'
import { checkHistory } from './check-history.ts'
import { ask, expectRefusedAsUnavailable, expectUnavailable, untilRecovered } from './outage.ts'
import { call, listConversations, newEntryId, progress, signIn, startSender } from './senders.ts'

const ROUNDS = process.env['SOTTO_TEST_LONG'] === '1' ? 40 : 3
const PEOPLE = ['alice.nurse', 'bob.patient', 'grace.primary', 'carmen.patient', 'omar.cardio']

test.runIf(databaseKinds.includes('postgres'))(
  `PostgreSQL is killed ${ROUNDS} times under load; the server says so, stays, and recovers by itself`,
  async ({ task }) => {
    const folder = await mkdtemp(join(tmpdir(), 'sotto-kill-postgres-'))
    await using postgres = await startPostgresServer()
    await using database = await prepareEmptyPostgres(postgres)
    const dataDir = join(folder, 'data')
    const env = { SOTTO_DATA_DIR: dataDir, ...loadLimits, ...(await database.migrated({ SOTTO_DATA_DIR: dataDir })) }
    await using server = await startServerProcess(env)
    const demo = await readDemo(dataDir)
    const senders = PEOPLE.map((login) => startSender({ url: server.url }, demo, login, 8))
    const socket = await openTestSocket(server.url, await signIn(server.url, demo, 'alice.nurse'))
    let probes = 0
    for (let round = 1; round <= ROUNDS; round++) {
      await progress(senders, 20)
      const probe = await prepareProbe(server.url, demo, socket)
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 500))
      await postgres.kill()
      probes += await probe()
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 500))
      probes += await probe()
      await postgres.start()
    }
    await Promise.all(senders.map((sender) => sender.finish()))
    const { acknowledged, entries } = await checkHistory(server.url, demo, senders)
    // The one that only asked now and then has lived through all of it.
    expect(socket.webSocket.readyState).toBe(socket.webSocket.OPEN)
    await untilRecovered(() => socket.command('conversation.sync', {}))
    for (const sender of senders) expect([...sender.refused.keys()].filter((code) => !allowed.has(code))).toEqual([])
    Object.assign(task.meta, { counts: { kills: ROUNDS, probes, acknowledged, entries, lost: 0 } })
    socket.close()
    expect(await server.stop()).toBe(0)
    await rm(folder, { recursive: true, force: true })
  },
)

/** `none`: the socket was closed because a delivery could not be recorded (4503). */
const allowed = new Set(['platform/unavailable', 'none'])

/** Everything a probe needs from a database that is there. @returns the probe, for when it is not; it returns its size */
async function prepareProbe(url: string, demo: DemoSignIns, socket: TestSocket): Promise<() => Promise<number>> {
  const accessToken = await signIn(url, demo, 'alice.nurse')
  const officer = await signIn(url, demo, demo.people.find(({ role }) => role === 'compliance-officer')!.login)
  const [first] = await listConversations(url, accessToken)
  const conversationId: ConversationId = first!.conversationId
  const there = `/v1/conversations/${conversationId}`
  const message = () => ({ entryId: newEntryId(), payload: { v: 1 as const, type: 'text' as const, text: 'There?' } })
  const me = await call<{ items: { userId: string; current: boolean }[] }>(url, 'GET', '/v1/sessions', accessToken)
  const signInBody = {
    tenant: demo.tenant,
    login: 'alice.nurse',
    password: demo.password,
    device: { name: 'A device' },
  }
  return async () => {
    const requests: readonly (readonly [
      method: string,
      path: string,
      accessToken?: string | undefined,
      body?: unknown,
    ])[] = [
      ['POST', '/v1/sessions', undefined, signInBody],
      ['GET', '/v1/conversations', accessToken],
      ['GET', there, accessToken],
      ['GET', `${there}/entries`, accessToken],
      ['POST', `${there}/entries`, accessToken, message()],
      ['GET', '/v1/sync', accessToken],
      ['GET', `/v1/presence?userIds=${me.items[0]!.userId}`, accessToken],
      ['POST', '/v1/socket-tickets', accessToken],
      ['GET', '/v1/audit-events', officer],
      ['GET', '/v1/conversations'],
    ]
    for (const [method, path, token, body] of requests)
      expectUnavailable(await ask(url, method, path, { accessToken: token, body }), `${method} ${path}`)
    await expectRefusedAsUnavailable(socket.command('message.send', { conversationId, ...message() }), 'message.send')
    await expectRefusedAsUnavailable(socket.command('conversation.sync', {}), 'conversation.sync')
    return requests.length + 2
  }
}
