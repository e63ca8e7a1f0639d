/** A real PostgreSQL of one's own: a cluster in a temporary folder, reached by a Unix socket in it, with fsync on. */

import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'

export interface PostgresServer extends AsyncDisposable {
  /** As the superuser. */
  adminUrl(database?: string): string
  /** As `role`, which the cluster trusts without a password. */
  urlOf(role: string, database: string): string
  start(): Promise<void>
  /** `fast`: a clean shutdown that throws out the sessions. */
  stop(): Promise<void>
  /** Postmaster and all its children, at once, without a word. */
  kill(): Promise<void>
  /** Whether the postmaster runs: it may have ended by itself. */
  readonly isRunning: boolean
}

export interface PostgresPlace {
  /** A folder for the cluster's own; a new one in the system's temporary folder when not given. */
  readonly parent?: string
  /** Another for the write-ahead log; inside the cluster when not given. */
  readonly walParent?: string
}

const PORT = 5432

/** @param settings  further lines of postgresql.conf, as `name=value` */
export async function startPostgresServer(
  settings: readonly string[] = [],
  { parent = tmpdir(), walParent }: PostgresPlace = {},
): Promise<PostgresServer> {
  const user = unprivilegedUser()
  const directory = await makeFolder(parent, user)
  const walDirectory = walParent === undefined ? undefined : await makeFolder(walParent, user)
  const data = join(directory, 'data')
  const walArgs = walDirectory === undefined ? [] : ['--waldir', join(walDirectory, 'wal')]
  await promisify(execFile)(program('initdb'), [...initdbArgs(data), ...walArgs], { ...user, cwd: directory })
  const folders = walDirectory === undefined ? [directory] : [directory, walDirectory]
  const server = createServer(folders, data, user, settings)
  try {
    await server.start()
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
  return server
}

async function makeFolder(parent: string, user: User | undefined): Promise<string> {
  const directory = await mkdtemp(join(parent, 'sotto-postgres-'))
  if (user !== undefined) await chown(directory, user.uid, user.gid)
  await chmod(directory, 0o755)
  return directory
}

function initdbArgs(data: string): string[] {
  return ['-D', data, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync']
}

function createServer(
  folders: readonly string[],
  data: string,
  user: User | undefined,
  settings: readonly string[],
): PostgresServer {
  const directory = folders[0]!
  const options = ['listen_addresses=', `unix_socket_directories=${directory}`, `port=${PORT}`, 'fsync=on', ...settings]
  let postmaster: ChildProcess | undefined

  /** Who leaves without disposing leaves nothing behind, neither a server nor its folders. */
  function abandon(): void {
    postmaster?.kill('SIGQUIT')
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', abandon)

  function urlOf(role: string, database: string): string {
    return `postgres://${role}@localhost:${PORT}/${database}?host=${encodeURIComponent(directory)}`
  }

  async function end(kill: (child: ChildProcess) => void): Promise<void> {
    const child = postmaster
    postmaster = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    kill(child)
    await exit
  }

  return {
    urlOf,
    adminUrl: (database = 'postgres') => urlOf('postgres', database),
    get isRunning() {
      return postmaster !== undefined && postmaster.exitCode === null && postmaster.signalCode === null
    },
    async start() {
      const args = ['-D', data, ...options.flatMap((option) => ['-c', option])]
      postmaster = spawn(program('postgres'), args, { ...user, cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] })
      await untilReady(postmaster)
    },
    stop: () => end((child) => void child.kill('SIGINT')),
    async kill() {
      const children: number[] = []
      await end((child) => {
        // Stopped, it starts no other ones while they are looked for.
        process.kill(child.pid!, 'SIGSTOP')
        children.push(...childrenOf(child.pid!))
        for (const pid of [child.pid!, ...children]) killNow(pid)
      })
      // Until the last one is gone the shared memory is in use, and the next server would refuse to start.
      while (children.some(isAlive)) await delay(5)
    },
    async [Symbol.asyncDispose]() {
      await this.stop()
      process.off('exit', abandon)
      for (const folder of folders) await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Settles when the server says that it is ready, or with what it said before it ended. */
async function untilReady(postmaster: ChildProcess): Promise<void> {
  let log = ''
  await new Promise<void>((resolve, reject) => {
    postmaster.once('error', reject)
    postmaster.once('exit', (code) => reject(new Error(`postgres ended (${code}): ${log.slice(-2000)}`)))
    postmaster.stderr!.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-10_000)
      if (log.includes('database system is ready to accept connections')) resolve()
    })
  })
  postmaster.stderr!.removeAllListeners('data').resume()
}

/** One that has ended by itself since it was listed is as dead. */
function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(Number).filter((pid) => readState(pid)?.parent === parent)
}

/** One that nobody has waited for yet has given everything back. */
function isAlive(pid: number): boolean {
  const state = readState(pid)
  return state !== undefined && state.letter !== 'Z'
}

function readState(pid: number): { readonly letter: string; readonly parent: number } | undefined {
  try {
    // After the command's name in parentheses: state, then the parent's id (proc(5), stat).
    const [letter, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    return { letter: letter!, parent: Number(parent) }
  } catch {
    return undefined
  }
}

interface User {
  readonly uid: number
  readonly gid: number
}

/** PostgreSQL refuses to run as root. */
function unprivilegedUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined
  const name = readFileSync('/etc/passwd', 'utf8').includes('\npostgres:') ? 'postgres' : 'nobody'
  const idOf = (flag: string): number => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }))
  return { uid: idOf('-u'), gid: idOf('-g') }
}

/** Newest first of what Debian has installed, else what is on the path. */
function program(name: string): string {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root).toSorted((a, b) => Number(b) - Number(a)) : []
  const found = versions.map((version) => join(root, version, 'bin', name)).find((path) => existsSync(path))
  return found ?? name
}

/** One statement after the other as the superuser of `url`. */
export async function asAdmin<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  // A server that ends under a statement fails the statement, and says it here once more.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
