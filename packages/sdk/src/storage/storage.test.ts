import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { fileStorage } from './file-storage.ts'
import { memoryStorage } from './memory-storage.ts'
import type { Storage, Store } from './storage.port.ts'

async function newFolder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sotto-sdk-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

async function open(storage: Storage, namespace: string): Promise<Store> {
  const store = await storage.open(namespace)
  onTestFinished(() => store.close())
  return store
}

/** What every implementation promises. IndexedDB passes the same in a real browser (`browser.test.ts`). */
describe.each([
  ['memory', async (): Promise<Storage> => memoryStorage()],
  ['file', async (): Promise<Storage> => fileStorage({ directory: await newFolder() })],
])('%s storage', (_, create) => {
  test('lists records in the order of their keys, and forgets what was removed', async () => {
    const store = await open(await create(), 'here')
    await store.write([
      { key: 'outbox/2', value: { text: 'second' } },
      { key: 'outbox/1', value: { text: 'first' } },
      { key: 'sync/token', value: 'abc' },
    ])
    await store.write([{ key: 'outbox/2', value: undefined }])
    await store.write([{ key: 'outbox/3', value: { text: 'third' } }])
    expect(await store.list('outbox/')).toEqual([
      ['outbox/1', { text: 'first' }],
      ['outbox/3', { text: 'third' }],
    ])
    expect(await store.get('sync/token')).toBe('abc')
    expect(await store.get('outbox/2')).toBeUndefined()
  })

  test('keeps namespaces apart, and clears one', async () => {
    const storage = await create()
    const [mine, theirs] = [await open(storage, 'alice'), await open(storage, 'bob')]
    await mine.write([{ key: 'a', value: 1 }])
    await theirs.write([{ key: 'a', value: 2 }])
    await mine.clear()
    expect(await mine.list('')).toEqual([])
    expect(await theirs.list('')).toEqual([['a', 2]])
  })

  test('is there again after it was closed', async () => {
    const storage = await create()
    const first = await storage.open('here')
    await first.write([{ key: 'a', value: { deep: [1, 2] } }])
    await first.close()
    expect(await (await open(storage, 'here')).list('')).toEqual([['a', { deep: [1, 2] }]])
  })

  test('gives and takes copies', async () => {
    const store = await open(await create(), 'here')
    const value = { text: 'as written' }
    await store.write([{ key: 'a', value }])
    value.text = 'changed'
    expect(await store.get('a')).toEqual({ text: 'as written' })
  })
})

describe('file storage', () => {
  test('drops a last line that was cut by a crash, and keeps every promised one', async () => {
    const directory = await newFolder()
    const path = await write(directory, 3)
    const whole = await readFile(path, 'utf8')
    for (let cut = 2; cut < 40; cut += 7) {
      await writeFile(path, whole)
      await truncate(path, whole.length - cut)
      const store = await fileStorage({ directory }).open('here')
      expect((await store.list('')).map(([key]) => key)).toEqual(['1', '2'])
      await store.close()
    }
  })

  test('does not believe a damaged line', async () => {
    const directory = await newFolder()
    const path = await write(directory, 2)
    await appendFile(path, `${'0'.repeat(16)} [["3","forged"]]\n`)
    const store = await fileStorage({ directory }).open('here')
    expect(await store.get('3')).toBeUndefined()
    await store.close()
  })

  test('refuses to be opened twice in one process, and is free again once it is closed', async () => {
    const directory = await newFolder()
    const store = await fileStorage({ directory }).open('here')
    await expect(fileStorage({ directory }).open('here')).rejects.toThrow('another process, or this one')
    await (await fileStorage({ directory }).open('there')).close()
    // The attempt that was refused has not let go of what the first one holds.
    expect(await startHolder(directory).said).toBe('refused')
    await store.close()
    await (await fileStorage({ directory }).open('here')).close()
  })

  test('is free at once after its process was killed, whatever the next one is called', async () => {
    const directory = await newFolder()
    const holder = startHolder(directory)
    expect(await holder.said).toBe('open')
    await expect(fileStorage({ directory }).open('here')).rejects.toThrow('another process, or this one')
    await holder.kill()
    // In a container the next process has the id of the one that was killed: what names this one must not count.
    for (const name of await readdir(directory)) {
      if (!name.endsWith('.log')) await expect(readFile(join(directory, name), 'utf8')).resolves.toBe('')
    }
    await (await open(fileStorage({ directory }), 'here')).write([{ key: 'a', value: 1 }])
  })

  test('is opened by one of many processes that start at once after a kill', async () => {
    const directory = await newFolder()
    const first = startHolder(directory)
    await first.said
    await first.kill()
    const holders = Array.from({ length: 4 }, () => startHolder(directory))
    const said = await Promise.all(holders.map((holder) => holder.said))
    expect(said.toSorted()).toEqual(['open', 'refused', 'refused', 'refused'])
    await Promise.all(holders.map((holder) => holder.kill()))
  })

  test('writes that come at the same time are all there', async () => {
    const directory = await newFolder()
    const store = await fileStorage({ directory }).open('here')
    await Promise.all(Array.from({ length: 50 }, (_, index) => store.write([{ key: `${index}`, value: index }])))
    await store.close()
    expect(await (await open(fileStorage({ directory }), 'here')).list('')).toHaveLength(50)
  })
})

/** A process that opens the store, says what came of it, and holds it until it is killed. */
function startHolder(directory: string) {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, '../../test-support/holder.testing.ts'), directory],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const exited = once(child, 'close')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  onTestFinished(kill)
  return { said: once(child.stdout, 'data').then(([data]) => String(data).trim()), kill }
}

async function write(directory: string, lines: number): Promise<string> {
  const store = await fileStorage({ directory }).open('here')
  for (let line = 1; line <= lines; line += 1) await store.write([{ key: `${line}`, value: 'x'.repeat(60) }])
  await store.close()
  const [log] = (await readdir(directory)).filter((name) => name.endsWith('.log'))
  return join(directory, String(log))
}
