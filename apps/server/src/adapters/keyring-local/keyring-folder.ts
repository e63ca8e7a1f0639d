/** The folder of a local keyring: who may read it, where it may be, and how a file gets into it for good. */

import { existsSync, realpathSync, statSync } from 'node:fs'
import { link, mkdir, open, readdir, unlink } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import type { Random } from '../../platform/ids/ids.ts'

/** The keyring cannot be used as it is. The message is for the operator and names files, never their contents. */
export class KeyringRefused extends Error {
  override readonly name = 'KeyringRefused'
}

export const FOLDER_MODE = 0o700
const FILE_MODE = 0o600
const ANYBODY_ELSE = 0o077

/** Windows has no such permission bits; there the folder is as private as the account's own. */
const hasModes = process.platform !== 'win32'

/** @throws KeyringRefused when the group or the world has any permission on it */
export function checkPrivate(path: string): void {
  const mode = statSync(path).mode & 0o777
  if (!hasModes || (mode & ANYBODY_ELSE) === 0) return
  const wanted = statSync(path).isDirectory() ? FOLDER_MODE : FILE_MODE
  throw new KeyringRefused(
    `Others than its owner have permissions on ${path} (mode ${mode.toString(8)}). Run: chmod ${wanted.toString(8)} ${path}`,
  )
}

/** @throws KeyringRefused when whoever copies one of the two folders would copy the other with it */
export function checkOutside(folder: string, dataDir: string): void {
  const [keyring, data] = [realPath(folder), realPath(dataDir)]
  if (isIn(keyring, data))
    throw new KeyringRefused(
      `The keyring ${folder} lies in the data folder ${dataDir}: a copy of the data would contain its own keys. Place it elsewhere.`,
    )
  if (isIn(data, keyring))
    throw new KeyringRefused(
      `The data folder ${dataDir} lies in the keyring ${folder}: a copy of the keyring would contain the data. Place it elsewhere.`,
    )
}

/** Also true of a folder and itself. */
function isIn(inner: string, outer: string): boolean {
  const path = relative(outer, inner)
  return path !== '..' && !path.startsWith(`..${sep}`) && resolve(path) !== path
}

/** Links followed, also when the last parts of the path do not exist yet. */
function realPath(path: string): string {
  const absolute = resolve(path)
  return existsSync(absolute) ? realpathSync(absolute) : join(realPath(dirname(absolute)), basename(absolute))
}

/** Creates it with its parents, durably. */
export async function makeFolder(path: string): Promise<void> {
  const firstMade = await mkdir(path, { recursive: true, mode: FOLDER_MODE })
  if (firstMade === undefined) return
  const top = dirname(firstMade)
  for (let made = path; made !== top; made = dirname(made)) await syncFolder(dirname(made))
}

/**
 * Puts a whole file under a name that is free, or leaves everything as it is. Written aside, synced, then linked: a
 * rename would be as atomic, but would silently replace a key that another process has just placed there.
 *
 * @returns false when the name was taken, or an erasure of that name swept this file away; what stands there is durable
 */
export async function placeFile(path: string, content: string | Uint8Array, random: Random): Promise<boolean> {
  const aside = `${path}.${Buffer.from(random.bytes(8)).toString('hex')}.tmp`
  const file = await open(aside, 'wx', FILE_MODE)
  try {
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await link(aside, path)
    return true
  } catch (error) {
    if (isCode(error, 'EEXIST') || isCode(error, 'ENOENT')) return false
    throw error
  } finally {
    await ignoreMissing(unlink(aside))
    await syncFolder(dirname(path))
  }
}

/**
 * Overwrites and removes every file of the folder whose name begins like this, save one. Leftovers of an interrupted
 * `placeFile` go too. A journal or a wear-levelled disk may keep the old blocks: what is in them is sealed under the root.
 */
export async function eraseFiles(folder: string, prefix: string, spared: string, random: Random): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix) || name === spared) continue
    // Another process may be erasing the same files.
    await ignoreMissing(eraseFile(join(folder, name), random))
  }
  await syncFolder(folder)
}

async function eraseFile(path: string, random: Random): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const { size } = await file.stat()
    await file.write(random.bytes(size), 0, size, 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await unlink(path)
}

/** Makes the names in a folder durable. Windows cannot open a folder, and does not need to. */
export async function syncFolder(path: string): Promise<void> {
  if (!hasModes) return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** @returns undefined when the file is not there */
export async function ignoreMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code
}
