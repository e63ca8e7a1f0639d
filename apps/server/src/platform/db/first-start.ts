/**
 * Makes the first start of the embedded engine all or nothing.
 *
 * The engine copies a fresh database cluster into its folder file by file and syncs none of them. A process that is
 * killed in between leaves a folder that looks like a database and is none; a power cut after the first message would take
 * files that no checkpoint ever writes again. So a mark stands beside the folder until every file of it is on disk. A
 * folder with the mark has never been served: nothing was acknowledged from it, and it is made anew.
 */

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { open, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface FirstStart {
  /** To be called once the engine has filled the folder. */
  finish(): Promise<void>
}

/** The code of the error that says so. */
export const FOLDER_GONE = 'database-folder-gone'

/**
 * @returns undefined when the folder holds a complete database
 * @throws Error FOLDER_GONE when it does not, and `mayCreate` is false
 */
export async function prepareFirstStart(directory: string, mayCreate: boolean): Promise<FirstStart | undefined> {
  const mark = `${directory}.incomplete`
  if (!mayCreate && (existsSync(mark) || !existsSync(join(directory, 'PG_VERSION'))))
    throw Object.assign(new Error('The database is no longer in its folder'), { code: FOLDER_GONE })
  if (existsSync(mark)) rmSync(directory, { recursive: true, force: true })
  if (existsSync(join(directory, 'PG_VERSION'))) return undefined
  writeFileSync(mark, '')
  await syncPath(dirname(directory))
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  return {
    async finish() {
      const below = await readdir(directory, { recursive: true })
      await Promise.all(below.map((name) => syncPath(join(directory, name))))
      await syncPath(directory)
      await syncPath(dirname(directory))
      rmSync(mark)
      await syncPath(dirname(directory))
    },
  }
}

/** A file's content, or a folder's names. Windows keeps a folder's names by itself and refuses to sync them. */
async function syncPath(path: string): Promise<void> {
  await using file = await open(path, 'r')
  try {
    await file.sync()
  } catch (error) {
    if (process.platform !== 'win32') throw error
  }
}
