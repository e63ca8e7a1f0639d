/** What the measured processes stand on: a PostgreSQL of the run's own with fsync on, or folders for the embedded database. */

import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { limitSetting, tunableLimits } from '@sotto/server'
import { createPostgresDatabase, startPostgresServer, TEST_LOGIN_ROLE, withDatabase } from '@sotto/testkit'
import { asAdmin } from '../../packages/testkit/src/postgres-server.ts'

export type DatabaseKind = 'postgres' | 'embedded'

export interface Ground extends AsyncDisposable {
  readonly kind: DatabaseKind
  /** Settings of a server with a database of its own. */
  place(name: string): Promise<Readonly<Record<string, string>>>
  /** CPU time of the database's own processes so far, microseconds; 0 for the embedded one, which lives in the server's. */
  databaseCpuUs(): number
}

/** What a load generator would run into that stands for thousands of people at one address. */
const rates = tunableLimits.filter((name) => /PerSecond$|Burst$|^socketUnansweredMax$/.test(name))
const roomy = Object.fromEntries(rates.map((name) => [limitSetting(name), '1000000']))

export async function openGround(kind: DatabaseKind): Promise<Ground> {
  const folder = await mkdtemp(join(tmpdir(), 'sotto-bench-'))
  const abandon = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', abandon)
  const leave = async () => {
    await rm(folder, { recursive: true, force: true })
    process.off('exit', abandon)
  }
  const common = (name: string) => ({
    ...roomy,
    SOTTO_PORT: '0',
    SOTTO_LOG_LEVEL: 'warn',
    SOTTO_DATA_DIR: join(folder, name, 'data'),
    SOTTO_KEYRING_DIR: join(folder, name, 'keyring'),
  })
  if (kind === 'embedded') {
    return {
      kind,
      place: async (name) => common(name),
      databaseCpuUs: () => 0,
      [Symbol.asyncDispose]: leave,
    }
  }
  const postgres = await startPostgresServer(['max_connections=100', 'max_wal_size=4GB'])
  const postmaster = await findPostmaster(postgres.adminUrl())
  return {
    kind,
    async place(name) {
      const database = await createPostgresDatabase(postgres.adminUrl())
      const owner = withDatabase(postgres.adminUrl(), database)
      return {
        ...common(name),
        DATABASE_URL: owner.replace('//postgres@', `//${TEST_LOGIN_ROLE}@`),
        DATABASE_OWNER_URL: owner,
      }
    },
    databaseCpuUs: () => familyCpuUs(postmaster),
    async [Symbol.asyncDispose]() {
      await postgres[Symbol.asyncDispose]()
      await leave()
    },
  }
}

async function findPostmaster(adminUrl: string): Promise<number> {
  return asAdmin(adminUrl, async (client) => {
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    return statOf(rows[0]!.pid)!.parent
  })
}

const TICK_US = 10_000

interface Stat {
  readonly parent: number
  readonly cpuUs: number
  /** Of children that have ended and were waited for. */
  readonly endedUs: number
}

/** proc(5), stat: after the command's name in parentheses come state, parent, …, user and system time in ticks. */
function statOf(pid: number): Stat | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    const ticks = (first: number) => (Number(fields[first]) + Number(fields[first + 1])) * TICK_US
    return { parent: Number(fields[1]), cpuUs: ticks(11), endedUs: ticks(13) }
  } catch {
    return undefined
  }
}

function familyCpuUs(parent: number): number {
  const stats = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
  const ended = statOf(parent)?.endedUs ?? 0
  return stats.reduce((sum, stat) => (stat?.parent === parent ? sum + stat.cpuUs : sum), ended)
}
