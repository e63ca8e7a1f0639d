import type { Frame } from '@sotto/protocol'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { openTestSocket, type TestSocket } from '../../../../../packages/testkit/src/test-socket.ts'
import { openWard, type Ward } from '../../domains/conversations/ward.testing.ts'

const BURST = 10
const PER_SECOND = 50
const FLOOD_MS = 1_500

describe('the rate of a socket', () => {
  let ward: Ward
  let socket: TestSocket

  beforeAll(async () => {
    ward = await openWard(databaseKinds[0]!, {
      limits: { socketCommandsPerSecond: PER_SECOND, socketCommandsBurst: BURST, socketFloodMs: FLOOD_MS },
    })
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    const { bob } = await ward.createClinic()
    socket = await openTestSocket(ward.url, bob.accessToken)
  })
  afterEach(() => socket.webSocket.terminate())

  const flood = (count: number) => {
    for (let id = 0; id < count; id++) socket.webSocket.send(JSON.stringify({ op: 'ping', id }))
  }
  const replies = () => socket.frames.filter((frame: Frame) => frame.op === 'reply')

  test('a burst is answered at once, the rest at the rate, and nothing is lost', async () => {
    const from = performance.now()
    const count = BURST + PER_SECOND / 2
    flood(count)
    await socket.next('reply', ({ id }) => id === BURST - 1)
    const atOnce = performance.now() - from
    await socket.next('reply', ({ id }) => id === count - 1)
    const all = performance.now() - from
    expect(all - atOnce).toBeGreaterThan(400)
    expect(replies().map((frame) => frame.op === 'reply' && frame.id)).toEqual(
      Array.from({ length: count }, (_, id) => id),
    )
    expect(socket.webSocket.readyState).toBe(socket.webSocket.OPEN)
  })

  test('all sockets of a user share the rate, and other users have their own', async () => {
    const { bob, alice } = await ward.createClinic()
    const sockets = await Promise.all(
      [bob, bob, bob, alice].map(({ accessToken }) => openTestSocket(ward.url, accessToken)),
    )
    const from = performance.now()
    const pings = sockets.map((one) => Promise.all(Array.from({ length: BURST }, () => one.command('ping', {}))))
    await pings[3]
    const own = performance.now() - from
    await Promise.all(pings)
    const shared = performance.now() - from
    expect(shared).toBeGreaterThan(((2 * BURST) / PER_SECOND) * 1_000 - 50)
    expect(own).toBeLessThan(shared)
    for (const one of sockets) one.webSocket.terminate()
  })

  test('a flood is held up by the rate, also when it comes in one piece, and is then disconnected', async () => {
    const from = performance.now()
    flood(3_000)
    expect(await socket.closed).toBe(4429)
    const seconds = (performance.now() - from) / 1_000
    expect(seconds).toBeGreaterThan(FLOOD_MS / 1_000)
    expect(replies().length).toBeGreaterThanOrEqual(BURST)
    expect(replies().length).toBeLessThanOrEqual(BURST + PER_SECOND * seconds + 1)
  })
})
