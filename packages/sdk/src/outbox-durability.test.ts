import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { alice, bob, place } from '../test-support/people.testing.ts'
import { startPeerServer } from '../test-support/peer-server.testing.ts'
import { createSeeded } from '../test-support/seeded.testing.ts'
import { texts, until } from '../test-support/until.testing.ts'
import { connect, type Storage } from './index.ts'
import { fileStorage } from './node.ts'

const long = process.env['SOTTO_TEST_LONG'] === '1'
const mortal = join(import.meta.dirname, '../test-support/mortal.testing.ts')
const ward = place(1)

async function newFolder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sotto-sdk-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** Runs a process that sends, kills it once it has promised `killAt` messages. @returns how many it had promised */
async function runMortal(args: readonly string[], killAt: number): Promise<number> {
  const child = spawn(process.execPath, [mortal, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let promised = 0
  child.stdout.on('data', (chunk: Buffer) => {
    promised += chunk.toString().split('\n').length - 1
    if (promised >= killAt) child.kill('SIGKILL')
  })
  await once(child, 'close')
  return promised
}

test('what was promised is sent after kill -9, once and in order', async () => {
  const random = createSeeded(7)
  for (let round = 0; round < (long ? 50 : 3); round += 1) {
    await using server = await startPeerServer()
    server.peer.createConversation(ward, [alice, bob])
    const directory = await newFolder()
    // Some of it is under way when the process dies, some has not left yet.
    if (round % 2 === 0) server.swallowNext('message.send', 2)
    const args = [server.url, alice, ward, directory]
    const promised = await runMortal([...args, '200'], 20 + random.below(100))
    expect(promised).toBeGreaterThanOrEqual(20)
    await runMortal([...args, '0'], Number.POSITIVE_INFINITY)
    const sent = server.peer.log(ward).flatMap(({ payload }) => (payload.type === 'text' ? [payload.text] : []))
    // The last one may have been stored without the promise having been heard.
    expect(sent.length - promised).toBeGreaterThanOrEqual(0)
    expect(sent).toEqual(Array.from({ length: sent.length }, (_, index) => `message ${index}`))
  }
})

test('a message that could not be stored is not promised, and not sent', async () => {
  await using server = await startPeerServer()
  server.peer.createConversation(ward, [alice, bob])
  const full: Storage = {
    shared: false,
    protectsAtRest: false,
    open: async () => ({
      get: async () => undefined,
      list: async () => [],
      write: async () => await Promise.reject(new Error('the disk is full')),
      clear: async () => {},
      close: async () => {},
    }),
  }
  await using sotto = connect({ url: server.url, userId: alice, getToken: async () => alice, storage: full })
  await sotto.ready
  await expect(sotto.conversation(ward).send('lost')).rejects.toMatchObject({ code: 'sdk/storage-failed' })
  expect(
    sotto
      .conversation(ward)
      .getSnapshot()
      .items.filter(({ type }) => type === 'pending'),
  ).toEqual([])
  expect(server.seen).not.toContain('message.send')
})

test('messages written without a network wait on the disk and go in order when there is one', async () => {
  const directory = await newFolder()
  const nowhere = { userId: alice, getToken: async () => alice }
  const server = await startPeerServer()
  const { url } = server
  server.peer.createConversation(ward, [alice, bob])
  server.socketsAllowed = false
  server.refuseNext(
    'sendMessage',
    { type: '', title: '', status: 503, code: 'platform/unavailable', retry: 'after-delay' },
    { times: 50 },
  )
  const offline = connect({ url, ...nowhere, storage: fileStorage({ directory }) })
  for (const word of ['one', 'two', 'three']) await offline.conversation(ward).send(word)
  expect(offline.outbox.getSnapshot().waiting).toBe(3)
  await offline.close()

  server.socketsAllowed = true
  await using online = connect({ url, ...nowhere, storage: fileStorage({ directory }) })
  // Written before anything was read from the disk, and yet it comes last.
  await online.conversation(ward).send('four')
  await until(online.outbox, ({ waiting }) => waiting === 0)
  const words = ['one', 'two', 'three', 'four']
  expect(texts(await until(online.conversation(ward), (s) => texts(s).length === words.length))).toEqual(words)
  await server[Symbol.asyncDispose]()
})

test('a store that cannot be opened ends the connection with its reason', async () => {
  await using server = await startPeerServer()
  const directory = await newFolder()
  const storage = (): Storage => fileStorage({ directory })
  await using first = connect({ url: server.url, userId: alice, getToken: async () => alice, storage: storage() })
  await first.ready
  await using second = connect({ url: server.url, userId: alice, getToken: async () => alice, storage: storage() })
  const ended = await until(second.connection, ({ status }) => status === 'ended')
  expect(ended).toMatchObject({ reason: 'refused', problem: { code: 'sdk/storage-failed' } })
  await expect(second.ready).rejects.toMatchObject({ code: 'sdk/storage-failed' })
})
