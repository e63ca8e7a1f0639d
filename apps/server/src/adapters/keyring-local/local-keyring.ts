/**
 * A keyring of files, for one machine. Whoever can read the folder can read everything: use a KMS or an HSM where that is not
 * good enough, and keep a copy of the folder apart from the backups of the database, since without it those are noise.
 *
 * ```
 * keyring/                       0700, outside the data folder
 *   root.json                    0600  root keys by version, which of them is primary, the deployment secret
 *   subjects/<tenant>/
 *     <subject>.key              the subject's key, sealed under a root
 *     <subject>.destroyed        stands for ever, so that a destroyed key is never made anew
 * ```
 */

import assert from 'node:assert/strict'
import type { KeyObject } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Keyring } from '../../domains/keys/keyring.port.ts'
import { SealBroken } from '../../platform/crypto/envelope.ts'
import type { DataKey } from '../../platform/crypto/envelope.ts'
import { deriveKey, KEY_BYTES, keyFromBytes, newKey } from '../../platform/crypto/primitives.ts'
import { sealedEpoch } from '../../platform/crypto/seal.ts'
import { unwrapKey, wrapKey } from '../../platform/crypto/wrap.ts'
import type { Random } from '../../platform/ids/ids.ts'
import { toRfc3339 } from '../../platform/time/clock.ts'
import type { Clock } from '../../platform/time/clock.ts'
import {
  checkOutside,
  checkPrivate,
  eraseFiles,
  ignoreMissing,
  KeyringRefused,
  makeFolder,
  placeFile,
  syncFolder,
} from './keyring-folder.ts'

export interface LocalKeyringOptions {
  readonly folder: string
  /** Where the embedded database and the objects are; the keyring must not be in there. */
  readonly dataDir: string
  readonly random: Random
}

const keyText = z.string().refine((text) => Buffer.from(text, 'base64url').length === KEY_BYTES)

const rootFileSchema = z
  .strictObject({
    format: z.literal('sotto-keyring/1'),
    primary: z.int().min(1),
    roots: z.array(z.strictObject({ version: z.int().min(1), createdAt: z.string(), key: keyText })),
    /** The source of `derive`. It does not rotate with the roots. */
    deploymentSecret: keyText,
  })
  .refine((file) => file.roots.some((root) => root.version === file.primary))
  .refine((file) => new Set(file.roots.map((root) => root.version)).size === file.roots.length)

type RootFile = z.infer<typeof rootFileSchema>

export function localKeyringExists(folder: string): boolean {
  return existsSync(rootPath(folder))
}

/**
 * Makes a new keyring. Only for a new deployment: over an existing database a new root opens nothing.
 * @throws KeyringRefused when there is one already, or the folder is not private or not outside the data folder
 */
export async function createLocalKeyring(options: LocalKeyringOptions & { readonly clock: Clock }): Promise<Keyring> {
  const { folder, dataDir, random, clock } = options
  checkOutside(folder, dataDir)
  await makeFolder(folder)
  checkPrivate(folder)
  const newKeyText = () => Buffer.from(random.bytes(KEY_BYTES)).toString('base64url')
  const content: RootFile = {
    format: 'sotto-keyring/1',
    primary: 1,
    roots: [{ version: 1, createdAt: toRfc3339(clock.now()), key: newKeyText() }],
    deploymentSecret: newKeyText(),
  }
  const isPlaced = await placeFile(rootPath(folder), `${JSON.stringify(content, undefined, 2)}\n`, random)
  if (!isPlaced) throw new KeyringRefused(`There is a keyring in ${folder} already; it is never replaced.`)
  return openLocalKeyring(options)
}

/** @throws KeyringRefused when it is absent, damaged, readable by others, or in the data folder */
export function openLocalKeyring({ folder, dataDir, random }: LocalKeyringOptions): Keyring {
  checkOutside(folder, dataDir)
  if (!localKeyringExists(folder)) {
    throw new KeyringRefused(
      `There is no keyring in ${folder}. The database that belongs to it cannot be read without it: restore the folder.`,
    )
  }
  checkPrivate(folder)
  checkPrivate(rootPath(folder))
  const { roots, primary, deploymentSecret } = readRoots(folder)
  return {
    wrap: async (context, key) => wrapKey(random, primary, ['wrap', ...context], key),
    unwrap: async (context, wrapped) => unwrapKey(rootOf(roots, wrapped), ['wrap', ...context], wrapped),
    derive: (purpose) => deriveKey(deploymentSecret, 'sotto/deployment', purpose),
    ...subjectKeys(join(folder, 'subjects'), roots, primary, random),
  }
}

function subjectKeys(
  subjects: string,
  roots: ReadonlyMap<number, DataKey>,
  primary: DataKey,
  random: Random,
): Pick<Keyring, 'findSubjectKey' | 'createSubjectKey' | 'destroySubjectKey'> {
  async function findSubjectKey(tenantId: string, subjectUserId: string) {
    const files = subjectFiles(subjects, tenantId, subjectUserId)
    if (await exists(files.tombstone)) return undefined
    const sealed = await ignoreMissing(readFile(files.key))
    return sealed && unwrapKey(rootOf(roots, sealed), ['subject', tenantId, subjectUserId], sealed)
  }
  return {
    findSubjectKey,
    async createSubjectKey(tenantId, subjectUserId) {
      const files = subjectFiles(subjects, tenantId, subjectUserId)
      await makeFolder(files.folder)
      if (!(await exists(files.key)) && !(await exists(files.tombstone))) {
        const sealed = wrapKey(random, primary, ['subject', tenantId, subjectUserId], newKey(random))
        await placeFile(files.key, sealed, random)
      }
      // Another process may have placed or destroyed it at the same moment: what stands in the folder decides.
      if (await exists(files.tombstone)) await eraseFiles(files.folder, files.prefix, files.spared, random)
      else await syncFolder(files.folder)
      return findSubjectKey(tenantId, subjectUserId)
    },
    async destroySubjectKey(tenantId, subjectUserId) {
      const files = subjectFiles(subjects, tenantId, subjectUserId)
      await makeFolder(files.folder)
      // First the mark, then the key: whatever interrupts this, the key is not found again.
      await placeFile(files.tombstone, '', random)
      await eraseFiles(files.folder, files.prefix, files.spared, random)
    },
  }
}

function subjectFiles(subjects: string, tenantId: string, subjectUserId: string) {
  for (const id of [tenantId, subjectUserId]) assert(/^[0-9a-f-]{36}$/.test(id), 'A name in the keyring is an id')
  const folder = join(subjects, tenantId)
  const spared = `${subjectUserId}.destroyed`
  return {
    folder,
    prefix: `${subjectUserId}.`,
    spared,
    key: join(folder, `${subjectUserId}.key`),
    tombstone: join(folder, spared),
  }
}

function readRoots(folder: string) {
  const file = parseRoots(folder)
  const roots = new Map<number, DataKey>()
  for (const { version, key } of file.roots) {
    roots.set(version, { id: `root/${version}`, epoch: version, key: keyFromText(key) })
  }
  return { roots, primary: roots.get(file.primary)!, deploymentSecret: keyFromText(file.deploymentSecret) }
}

/** What is wrong with it is not told: the parser's words could quote a key. */
function parseRoots(folder: string): RootFile {
  try {
    return rootFileSchema.parse(JSON.parse(readFileSync(rootPath(folder), 'utf8')))
  } catch {
    throw new KeyringRefused(`${rootPath(folder)} cannot be read as a keyring. Restore it from its copy.`)
  }
}

function rootOf(roots: ReadonlyMap<number, DataKey>, sealed: Uint8Array): DataKey {
  const root = roots.get(sealedEpoch(sealed))
  if (root === undefined) throw new SealBroken()
  return root
}

function keyFromText(text: string): KeyObject {
  return keyFromBytes(Buffer.from(text, 'base64url'))
}

function rootPath(folder: string): string {
  return join(folder, 'root.json')
}

async function exists(path: string): Promise<boolean> {
  return (await ignoreMissing(access(path).then(() => true))) ?? false
}
