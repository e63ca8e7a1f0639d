import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { localKeyringExists, openLocalKeyring } from '../adapters/keyring-local/local-keyring.ts'
import { systemRandom } from '../platform/ids/ids.ts'
import { findDeploymentId } from '../platform/db/deployment-id.ts'
import { DirectoryInUse } from '../platform/db/directory-lock.ts'
import { POSTGRES_OLDEST, type DatabaseTraits } from '../platform/db/assert-trustworthy.ts'
import { inspectPostgres } from '../platform/db/plain-connection.ts'
import { createLog } from '../platform/log/log.ts'
import { compose } from './compose.ts'
import type { Config } from './config.ts'
import { ensureSystemTenant } from './deployment.ts'
import { openDatabase } from './open-ground.ts'

export interface Finding {
  readonly isGood: boolean
  readonly what: string
  /** What to do about it. */
  readonly then?: string
}

/** Looks at everything a server needs before it starts, changes nothing that a start would not, and says what is wrong. */
export async function checkDeployment(config: Config): Promise<readonly Finding[]> {
  const keyring = checkKeyring(config)
  const findings = [keyring.finding, checkAddress(config)]
  if (config.database.kind === 'embedded')
    findings.push({
      isGood: true,
      what: `Embedded database at ${config.dataDir}${hasDatabase(config) ? '' : ', not made yet'}`,
    })
  if (config.database.kind === 'postgres') findings.push(await checkPostgres(config.database.url.reveal()))
  if (keyring.opened !== undefined && hasDatabase(config)) findings.push(await checkDatabase(config, keyring.opened))
  return findings
}

function hasDatabase(config: Config): boolean {
  return config.database.kind === 'postgres' || existsSync(join(config.dataDir, 'database'))
}

function checkKeyring(config: Config) {
  const { keyringDir: folder, dataDir } = config
  if (!localKeyringExists(folder))
    return {
      finding: {
        isGood: false,
        what: `There is no keyring at ${folder}`,
        then: 'sotto init makes one, or set SOTTO_KEYRING_DIR to where yours is',
      },
      opened: undefined,
    }
  try {
    const opened = openLocalKeyring({ folder, dataDir, random: systemRandom })
    return {
      finding: {
        isGood: true,
        what: `Local keyring at ${folder}: whoever reads this folder and the data reads everything`,
      },
      opened,
    }
  } catch (error) {
    return { finding: { isGood: false, what: (error as Error).message }, opened: undefined }
  }
}

function checkAddress({ host, publicUrl }: Config): Finding {
  const isLoopback = host === '127.0.0.1' || host === '::1' || host === 'localhost'
  if (isLoopback || publicUrl.startsWith('https:'))
    return { isGood: true, what: `Listens on ${host}, used as ${publicUrl}` }
  return {
    isGood: false,
    what: `Listens on ${host} without TLS in front`,
    then: 'put a proxy with TLS in front and set SOTTO_PUBLIC_URL to its https address',
  }
}

async function checkPostgres(url: string): Promise<Finding> {
  try {
    return judgePostgres(await inspectPostgres(url))
  } catch (error) {
    return {
      isGood: false,
      what: `DATABASE_URL cannot be reached (${(error as { code?: string }).code ?? 'refused'})`,
      then: 'start PostgreSQL, or correct DATABASE_URL',
    }
  }
}

function judgePostgres({ version, powerful, fsync }: DatabaseTraits): Finding {
  if (version < POSTGRES_OLDEST)
    return { isGood: false, what: `PostgreSQL ${version} is too old`, then: 'use 15 or newer' }
  if (powerful)
    return {
      isGood: false,
      what: 'The login role of DATABASE_URL is a superuser, bypasses row-level security, or is a member of a role that does',
      then: 'use an ordinary role; sotto migrate makes it when its name stands in DATABASE_URL',
    }
  if (fsync !== 'on')
    return {
      isGood: false,
      what: 'PostgreSQL acknowledges before it is on disk',
      then: 'set fsync = on',
    }
  return { isGood: true, what: `PostgreSQL ${Math.floor(version / 10_000)}, with an ordinary login role, durable` }
}

async function checkDatabase(config: Config, keyring: Parameters<typeof openDatabase>[1]): Promise<Finding> {
  try {
    const log = createLog({ level: 'silent' })
    await using db = await openDatabase(config, keyring, log, () => undefined)
    await ensureSystemTenant(compose({ config, db, keyring, log, deploymentId: await findDeploymentId(db) }))
    return { isGood: true, what: 'The schema is up to date, and the keyring belongs to it' }
  } catch (error) {
    if (error instanceof DirectoryInUse)
      return {
        isGood: true,
        what: `A server runs on ${config.dataDir} (process ${error.holderPid ?? 'unknown'}): not looked into`,
      }
    return { isGood: false, what: (error as Error).message }
  }
}
