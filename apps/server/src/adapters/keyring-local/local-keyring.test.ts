import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { symlinkSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { testKeyringContract } from '../../domains/keys/keyring-contract.testing.ts'
import { SealBroken } from '../../platform/crypto/envelope.ts'
import { exportKey, newKey } from '../../platform/crypto/primitives.ts'
import { systemRandom } from '../../platform/ids/ids.ts'
import { systemClock } from '../../platform/time/clock.ts'
import { createLocalKeyring, localKeyringExists, openLocalKeyring } from './local-keyring.ts'

const tenantId = '01900000-0000-7000-8000-000000000001'
const bob = '01900000-0000-7000-8000-0000000000b0'

let base: string
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'sotto-keyring-'))
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(base, { recursive: true })
})

function options(name = 'keyring') {
  return { folder: join(base, name), dataDir: join(base, 'data'), random: systemRandom, clock: systemClock }
}

const permissions = (path: string) => statSync(path).mode & 0o777
const subjectFolder = () => join(base, 'keyring', 'subjects', tenantId)

testKeyringContract(async () => ({
  keyring: await createLocalKeyring(options()),
  reopen: async () => openLocalKeyring(options()),
  foreign: await createLocalKeyring(options('foreign')),
}))

describe('the folder', () => {
  test('is readable by its owner only, down to the last file', async () => {
    const keyring = await createLocalKeyring(options())
    await keyring.createSubjectKey(tenantId, bob)
    const { folder } = options()
    for (const name of ['', 'subjects', `subjects/${tenantId}`]) expect(permissions(join(folder, name))).toBe(0o700)
    for (const name of ['root.json', `subjects/${tenantId}/${bob}.key`]) {
      expect(permissions(join(folder, name)), name).toBe(0o600)
    }
  })

  test.each([
    ['the folder', '', 0o750, 'chmod 700'],
    ['the folder', '', 0o701, 'chmod 700'],
    ['the roots', 'root.json', 0o640, 'chmod 600'],
    ['the roots', 'root.json', 0o604, 'chmod 600'],
  ])('is refused when others may use %s (%s, mode %o)', async (_, name, mode, advice) => {
    await createLocalKeyring(options())
    chmodSync(join(options().folder, name), mode)
    expect(() => openLocalKeyring(options())).toThrow(advice)
  })

  test('is refused before anything is written when it exists with loose permissions', async () => {
    mkdirSync(options().folder)
    chmodSync(options().folder, 0o755)
    await expect(createLocalKeyring(options())).rejects.toThrow('chmod 700')
    expect(readdirSync(options().folder)).toEqual([])
  })

  test('is refused inside the data folder, also by way of a link', async () => {
    const { dataDir } = options()
    mkdirSync(dataDir)
    symlinkSync(dataDir, join(base, 'link'))
    for (const folder of [
      dataDir,
      join(dataDir, 'keyring'),
      join(base, 'link', 'deep', 'keyring'),
      join(dataDir, '..x'),
    ]) {
      await expect(createLocalKeyring({ ...options(), folder }), folder).rejects.toThrow(/lies in the data folder/)
      expect(() => openLocalKeyring({ ...options(), folder }), folder).toThrow(/lies in the data folder/)
    }
    expect(readdirSync(dataDir)).toEqual([])
    const beside = await createLocalKeyring({ ...options(), folder: `${dataDir}-keyring` })
    expect(beside.derive('x').symmetricKeySize).toBe(32)
  })

  test('is refused around the data folder, also by way of a link', async () => {
    const folder = join(base, 'around')
    mkdirSync(folder, { mode: 0o700 })
    symlinkSync(folder, join(base, 'way'))
    for (const dataDir of [join(folder, 'data'), join(base, 'way', 'data')]) {
      await expect(createLocalKeyring({ ...options(), folder, dataDir })).rejects.toThrow(/lies in the keyring/)
      expect(() => openLocalKeyring({ ...options(), folder, dataDir })).toThrow(/lies in the keyring/)
    }
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('the roots', () => {
  test('are never made by opening', () => {
    expect(localKeyringExists(options().folder)).toBe(false)
    expect(() => openLocalKeyring(options())).toThrow(/no keyring/)
    expect(existsSync(options().folder)).toBe(false)
  })

  test('are on the disk, and so are their names, before they are used', async () => {
    const synced = await watchSyncs()
    await createLocalKeyring(options())
    const { folder } = options()
    for (const path of [base, folder, join(folder, 'root.json')])
      expect(synced().has(statSync(path).ino), path).toBe(true)
  })

  test('are never replaced by creating', async () => {
    await createLocalKeyring(options())
    expect(localKeyringExists(options().folder)).toBe(true)
    const before = readFileSync(join(options().folder, 'root.json'), 'utf8')
    await expect(createLocalKeyring(options())).rejects.toThrow(/never replaced/)
    expect(readFileSync(join(options().folder, 'root.json'), 'utf8')).toBe(before)
  })

  test('an older one still opens what it wrapped, the primary one wraps', async () => {
    const keyring = await createLocalKeyring(options())
    const key = newKey(systemRandom)
    const old = await keyring.wrap(['tenant'], key)
    const subject = (await keyring.createSubjectKey(tenantId, bob))!
    rewriteRoots((file) => ({
      ...file,
      primary: 2,
      roots: [...file.roots, { version: 2, createdAt: '', key: Buffer.alloc(32, 2).toString('base64url') }],
    }))
    const rotated = openLocalKeyring(options())
    expect((await rotated.unwrap(['tenant'], old)).equals(key)).toBe(true)
    expect((await rotated.findSubjectKey(tenantId, bob))!.equals(subject)).toBe(true)
    expect(rotated.derive('x').equals(keyring.derive('x'))).toBe(true)
    const fresh = await rotated.wrap(['tenant'], key)
    await expect(keyring.unwrap(['tenant'], fresh)).rejects.toThrow(SealBroken)
  })

  test.each<[string, (file: RootFile) => unknown]>([
    ['no JSON', () => undefined],
    ['a primary that is not there', (file) => ({ ...file, primary: 2 })],
    ['a version twice', (file) => ({ ...file, roots: [...file.roots, ...file.roots] })],
    ['a short key', (file) => ({ ...file, deploymentSecret: 'AAAA' })],
    ['an unknown format', (file) => ({ ...file, format: 'sotto-keyring/2' })],
  ])('are refused with %s, and no key is quoted', async (_, change) => {
    await createLocalKeyring(options())
    const { deploymentSecret } = rewriteRoots(change)
    try {
      openLocalKeyring(options())
      expect.unreachable()
    } catch (error) {
      expect(String(error)).toMatch(/cannot be read as a keyring/)
      expect(String(error)).not.toContain(deploymentSecret)
    }
  })
})

describe('a subject key', () => {
  test('stands on the disk sealed', async () => {
    const keyring = await createLocalKeyring(options())
    const key = exportKey((await keyring.createSubjectKey(tenantId, bob))!)
    const file = readFileSync(join(subjectFolder(), `${bob}.key`))
    expect(file.includes(key)).toBe(false)
    expect(file.includes(key.toString('base64url'))).toBe(false)
  })

  test('copied to another subject does not open', async () => {
    const keyring = await createLocalKeyring(options())
    await keyring.createSubjectKey(tenantId, bob)
    const mallory = bob.replace('b0', 'd0')
    writeFileSync(join(subjectFolder(), `${mallory}.key`), readFileSync(join(subjectFolder(), `${bob}.key`)))
    await expect(keyring.findSubjectKey(tenantId, mallory)).rejects.toThrow(SealBroken)
  })

  test('leaves nothing behind when it is destroyed, leftovers of an interrupted creation included', async () => {
    const keyring = await createLocalKeyring(options())
    await keyring.createSubjectKey(tenantId, bob)
    expect(readdirSync(subjectFolder())).toEqual([`${bob}.key`])
    writeFileSync(join(subjectFolder(), `${bob}.key.0123456789abcdef.tmp`), 'sealed key')
    await keyring.destroySubjectKey(tenantId, bob)
    expect(readdirSync(subjectFolder())).toEqual([`${bob}.destroyed`])
  })

  test('is not found any more when destroying was interrupted after its first step', async () => {
    const keyring = await createLocalKeyring(options())
    await keyring.createSubjectKey(tenantId, bob)
    writeFileSync(join(subjectFolder(), `${bob}.destroyed`), '')
    expect(await keyring.findSubjectKey(tenantId, bob)).toBeUndefined()
    expect(await keyring.createSubjectKey(tenantId, bob)).toBeUndefined()
    expect(readdirSync(subjectFolder())).toEqual([`${bob}.destroyed`])
  })

  test('is on the disk, with every folder above it, before it is given out', async () => {
    const keyring = await createLocalKeyring(options())
    const synced = await watchSyncs()
    await keyring.createSubjectKey(tenantId, bob)
    const { folder } = options()
    for (const path of [folder, join(folder, 'subjects'), subjectFolder(), join(subjectFolder(), `${bob}.key`)]) {
      expect(synced().has(statSync(path).ino), path).toBe(true)
    }
  })

  test('is asked for by ids only', async () => {
    const keyring = await createLocalKeyring(options())
    await expect(keyring.createSubjectKey('../../../etc', bob)).rejects.toThrow(/is an id/)
    await expect(keyring.findSubjectKey(tenantId, '..')).rejects.toThrow(/is an id/)
  })

  test('that cannot be read for another reason than absence is a failure, not an absence', async () => {
    const keyring = await createLocalKeyring(options())
    mkdirSync(join(subjectFolder(), `${bob}.key`), { recursive: true })
    await expect(keyring.findSubjectKey(tenantId, bob)).rejects.toThrow(/EISDIR/)
  })
})

test('a full or broken disk is a failure, and no half file stays', async () => {
  const keyring = await createLocalKeyring(options())
  const prototype = await fileHandlePrototype()
  vi.spyOn(prototype, 'writeFile').mockRejectedValueOnce(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }))
  await expect(keyring.createSubjectKey(tenantId, bob)).rejects.toThrow('ENOSPC')
  expect(readdirSync(subjectFolder())).toEqual([])
  expect(await keyring.createSubjectKey(tenantId, bob)).toBeDefined()
})

interface RootFile {
  readonly primary: number
  readonly roots: readonly object[]
  readonly deploymentSecret: string
}

/** @returns the file as it was */
function rewriteRoots(change: (file: RootFile) => unknown): RootFile {
  const path = join(options().folder, 'root.json')
  const before = JSON.parse(readFileSync(path, 'utf8')) as RootFile
  writeFileSync(path, JSON.stringify(change(before)) ?? '{')
  return before
}

type FileHandle = Awaited<ReturnType<typeof open>>

async function fileHandlePrototype(): Promise<FileHandle> {
  const file = await open(base, 'r')
  await file.close()
  return Object.getPrototypeOf(file) as FileHandle
}

/** @returns the inodes that have been synced since */
async function watchSyncs(): Promise<() => Set<number>> {
  const prototype = await fileHandlePrototype()
  const sync = prototype.sync
  const inodes = new Set<number>()
  vi.spyOn(prototype, 'sync').mockImplementation(async function (this: FileHandle) {
    inodes.add((await this.stat()).ino)
    await sync.call(this)
  })
  return () => inodes
}
