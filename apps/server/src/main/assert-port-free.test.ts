import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startTestServer } from '../../../../packages/testkit/src/test-server.ts'
import { assertPortFree } from './assert-port-free.ts'

async function listenOn(host: string): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((socket) => socket.destroy()).listen(0, host)
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

test('a port where somebody listens is refused as `listen` refuses it, also for who wants all addresses', async () => {
  const { server, port } = await listenOn('127.0.0.1')
  for (const host of ['127.0.0.1', '0.0.0.0'])
    await expect(assertPortFree(host, port)).rejects.toMatchObject({ code: 'EADDRINUSE', port })
  server.close()
  await once(server, 'close')
  await assertPortFree('127.0.0.1', port)
})

// Only there is the whole of 127.0.0.0/8 this machine's.
test.runIf(process.platform === 'linux')('a port that is taken on another address is free on this one', async () => {
  const { server, port } = await listenOn('127.0.0.2')
  await assertPortFree('127.0.0.1', port)
  server.close()
})

test('port 0 is always free', async () => {
  await assertPortFree('127.0.0.1', 0)
})

test('a server that starts takes no connection before it can answer', { timeout: 60_000 }, async () => {
  const { server: before, port } = await listenOn('127.0.0.1')
  before.close()
  await once(before, 'close')
  const started = startTestServer('pglite', { env: { SOTTO_PORT: String(port) } })
  const [server, first] = await Promise.all([started, firstAnswer(`http://127.0.0.1:${port}/v1/limits`)])
  expect(first).toBe(200)
  await server[Symbol.asyncDispose]()
})

/** @returns the status of the answer on the first connection that is taken; what was wrong when there is none */
async function firstAnswer(url: string): Promise<number | string> {
  for (;;) {
    try {
      return (await fetch(url)).status
    } catch (error) {
      const { code = 'unknown' } = (error as { readonly cause?: { readonly code?: string } }).cause ?? {}
      if (code !== 'ECONNREFUSED') return code
    }
    await nextTurn()
  }
}
