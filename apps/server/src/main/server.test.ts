import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { asAdmin } from '../../../../packages/testkit/src/postgres-server.ts'
import { startTestServer, TEST_ARGON2 } from '../../../../packages/testkit/src/test-server.ts'
import { loadConfig } from './config.ts'
import { startServer } from './server.ts'

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const answer = (isThere: boolean) => {
      socket.destroy()
      resolve(isThere)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
  })
}

test('a server whose start cannot be recorded does not run, and leaves nothing behind', async () => {
  await using before = await startTestServer('postgres')
  await before.server[Symbol.asyncDispose]()
  const port = await findFreePort()
  const config = loadConfig({ ...before.env, SOTTO_PORT: String(port) })
  const grant = (verb: string) => asAdmin(before.adminUrl!, async (client) => void (await client.query(verb)))
  await grant('revoke insert on sotto.audit_event from sotto_app')
  await expect(startServer({ config, argon2: TEST_ARGON2 })).rejects.toThrow('audit.insert failed: 42501')
  expect(await isListening(port)).toBe(false)
  await grant('grant insert on sotto.audit_event to sotto_app')
  const again = await startServer({ config, argon2: TEST_ARGON2 })
  expect(await isListening(port)).toBe(true)
  await again[Symbol.asyncDispose]()
})
