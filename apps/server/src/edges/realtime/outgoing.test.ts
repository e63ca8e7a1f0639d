import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import type { WebSocket } from 'ws'
import { createOutgoing, encodeFrame } from './outgoing.ts'

const LIMIT = 262_144
const server = createServer()
const ends: Socket[] = []

afterEach(() => {
  vi.useRealTimers()
  for (const socket of ends.splice(0)) socket.destroy()
  server.close()
})

/** Two ends of a real line, the peer's not read yet, and what the server writes to its own with. */
async function openLine() {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const peer = connect((server.address() as AddressInfo).port, '127.0.0.1')
  peer.pause()
  const [transport] = (await once(server, 'connection')) as [Socket]
  ends.push(peer, transport)
  let slow = 0
  const webSocket = { readyState: 1, OPEN: 1 } as WebSocket
  const outgoing = createOutgoing(webSocket, transport, { queueBytesMax: LIMIT, onSlow: () => void slow++ })
  return { peer, outgoing, slow: () => slow }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))
const frame = (bytes: number) => encodeFrame('x'.repeat(bytes - 4))

test('one frame that is larger than the queue, and what comes after it, go out to a peer that reads', async () => {
  const { peer, outgoing, slow } = await openLine()
  let read = 0
  peer.on('data', (data) => (read += data.length))
  peer.resume()
  outgoing.send(encodeFrame('x'.repeat(20 * LIMIT)))
  for (let count = 0; count < 20; count++) {
    outgoing.send(frame(100))
    await turn()
  }
  await expect.poll(() => read).toBe(20 * LIMIT + 10 + 20 * 98)
  expect(slow()).toBe(0)
})

test('who reads nothing is cut when more waits than a burst may have, and nothing is kept for it', async () => {
  const { outgoing, slow } = await openLine()
  let most = 0
  for (let count = 0; count < 1_000 && slow() === 0; count++) {
    outgoing.send(frame(60_000))
    most = Math.max(most, outgoing.waitingBytes)
    await turn()
  }
  expect(slow()).toBe(1)
  expect(most).toBeGreaterThan(LIMIT)
  expect(most).toBeLessThan(4 * LIMIT + 120_000)
  expect(outgoing.waitingBytes).toBe(0)
})

test('a little more than the limit waits for a while for a peer that reads again, and not longer', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const { peer, outgoing, slow } = await openLine()
  while (outgoing.waitingBytes <= LIMIT) {
    outgoing.send(frame(60_000))
    await turn()
  }
  vi.advanceTimersByTime(9_000)
  peer.resume()
  await vi.waitFor(() => expect(outgoing.waitingBytes).toBe(0))
  vi.advanceTimersByTime(60_000)
  expect(slow()).toBe(0)
  peer.pause()
  while (outgoing.waitingBytes <= LIMIT) {
    outgoing.send(frame(60_000))
    await turn()
  }
  vi.advanceTimersByTime(10_000)
  expect(slow()).toBe(1)
})
