import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What `demo.json` in the data folder says, so that people and programs can sign in. */
export interface Demo {
  /** The database in which these people are. One data folder may be used with several: DATABASE_URL says with which. */
  readonly deploymentId: string
  readonly tenant: string
  readonly password: string
  readonly people: readonly { readonly login: string; readonly name: string; readonly role: string }[]
}

const path = (dataDir: string) => join(dataDir, 'demo.json')
/** Stands while the clinic is being made: the tenant that is found meanwhile is ours, and not that of real people. */
const markPath = (dataDir: string) => join(dataDir, 'demo.making')

/** @returns undefined when there is none for this deployment */
export async function readDemo(dataDir: string, deploymentId: string): Promise<Demo | undefined> {
  try {
    const demo = JSON.parse(await readFile(path(dataDir), 'utf8')) as Demo
    return demo.deploymentId === deploymentId ? demo : undefined
  } catch {
    return undefined
  }
}

/** Written as a whole or not at all. */
export async function writeDemo(dataDir: string, demo: Demo): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  await writeFile(`${path(dataDir)}.new`, `${JSON.stringify(demo, null, 2)}\n`, { mode: 0o600 })
  await rename(`${path(dataDir)}.new`, path(dataDir))
  await rm(markPath(dataDir), { force: true })
}

export async function markMaking(dataDir: string, deploymentId: string): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  await writeFile(markPath(dataDir), deploymentId, { mode: 0o600 })
}

export async function isBeingMade(dataDir: string, deploymentId: string): Promise<boolean> {
  return (await readFile(markPath(dataDir), 'utf8').catch(() => undefined)) === deploymentId
}
