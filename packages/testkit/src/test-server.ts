/** A real server in this process, on a real database, with a small clinic of synthetic people. */

import type { KeyObject } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LimitName, Role, UserId } from '@sotto/protocol'
import {
  limitSetting,
  loadConfig,
  openKeyring,
  startServer,
  type Composition,
  type RunningServer,
  type StartOptions,
} from '@sotto/server'
import { CONTEXT_KEY_PURPOSE } from '../../../apps/server/src/main/open-ground.ts'
import { migrate } from '../../../apps/server/src/platform/db/migrate.ts'
import {
  copyEmbeddedTemplate,
  createPostgresDatabase,
  TEST_LOGIN_ROLE,
  testEnvironment,
  withDatabase,
  type DatabaseKind,
} from './databases.ts'
import { asAdmin, type PostgresServer } from './postgres-server.ts'

export const TEST_PASSWORD = 'velvet teapot orbit 93'
/** argon2id at its cheapest: these passwords protect nobody. */
export const TEST_ARGON2 = { memoryKiB: 8, passes: 1, lanes: 1 } as const

export interface TestServer extends AsyncDisposable {
  readonly kind: DatabaseKind
  readonly url: string
  readonly server: RunningServer
  readonly composition: Composition
  /** The settings it was started with, for a second start on the same data. */
  readonly env: Readonly<Record<string, string>>
  /** As the superuser: PostgreSQL only; the embedded one has `composition.db`. */
  readonly adminUrl: string | undefined
  /** A tenant with the people below, each signed in once. */
  createClinic(slug?: string): Promise<Clinic>
}

export interface Person {
  readonly login: string
  readonly userId: UserId
  readonly role: Role
  /** Of a session of its own. */
  readonly accessToken: string
  readonly ctx: Awaited<ReturnType<Composition['identity']['authenticate']>>
}

export type PersonName = 'ada' | 'cora' | 'alice' | 'grace' | 'mallory' | 'bob' | 'carmen' | 'robot'
export type Clinic = { readonly slug: string } & Readonly<Record<PersonName, Person>>

const people: Readonly<Record<Exclude<PersonName, 'ada'>, { readonly name: string; readonly role: Role }>> = {
  cora: { name: 'Cora the compliance officer', role: 'compliance-officer' },
  alice: { name: 'Alice the nurse', role: 'clinician' },
  grace: { name: 'Grace the doctor', role: 'clinician' },
  mallory: { name: 'Mallory the stranger', role: 'clinician' },
  bob: { name: 'Bob the patient', role: 'patient' },
  carmen: { name: 'Carmen the patient', role: 'patient' },
  robot: { name: 'Reminder robot', role: 'service' },
}

export interface TestServerOptions {
  readonly limits?: Partial<Record<LimitName, number>>
  readonly env?: Readonly<Record<string, string>>
  readonly pageDir?: string
  /** In place of standard error, at the level of its own. */
  readonly log?: StartOptions['log']
  /** In place of the system's. */
  readonly clock?: StartOptions['clock']
  /** A cluster of one's own, to be stopped and killed; the one that all test files share when not given. */
  readonly postgres?: PostgresServer
}

/** Limits that a test would meet without meaning to. */
const roomyLimits: Partial<Record<LimitName, number>> = {
  requestsPerSecond: 100_000,
  requestsBurst: 100_000,
  socketCommandsPerSecond: 100_000,
  socketCommandsBurst: 100_000,
  signInsPerAddressPerSecond: 100_000,
  signInsPerAddressBurst: 100_000,
}

export async function startTestServer(kind: DatabaseKind, options: TestServerOptions = {}): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'sotto-server-'))
  const ground = kind === 'pglite' ? await embeddedGround() : await postgresGround(options.postgres)
  const limits = Object.entries({ ...roomyLimits, ...options.limits }).map(([name, value]) => [
    limitSetting(name as LimitName),
    String(value),
  ])
  const env: Record<string, string> = {
    SOTTO_PORT: '0',
    SOTTO_LOG_LEVEL: 'silent',
    SOTTO_KEYRING_DIR: join(folder, 'keyring'),
    SOTTO_DATA_DIR: join(folder, 'data'),
    ...Object.fromEntries(limits),
    ...ground.env,
    ...options.env,
  }
  // The templates of the databases have data already, over which a server would make no keyring.
  const keyring = await openKeyring(
    loadConfig({ SOTTO_KEYRING_DIR: env['SOTTO_KEYRING_DIR'], SOTTO_DATA_DIR: join(folder, 'data') }),
    { mayCreate: true },
  )
  // And the template belongs to the keyring of all tests, which `sotto migrate` would not exchange for another.
  if (ground.adminUrl !== undefined) await giveKeyring(ground.adminUrl, keyring.derive(CONTEXT_KEY_PURPOSE))
  const config = loadConfig(env)
  const server = await startServer({
    config,
    argon2: TEST_ARGON2,
    ...(options.log === undefined ? {} : { log: options.log }),
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    ...(options.pageDir === undefined ? {} : { pageDir: options.pageDir }),
  })
  return {
    kind,
    url: server.url,
    server,
    composition: server.composition,
    env,
    adminUrl: ground.adminUrl,
    createClinic: (slug) =>
      createClinic(server.composition, slug ?? `clinic-${server.composition.ids.next<string>().slice(-12)}`),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await ground.remove()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function giveKeyring(adminUrl: string, contextKey: KeyObject): Promise<unknown> {
  return asAdmin(adminUrl, (client) => migrate({ client, contextKey, loginRole: TEST_LOGIN_ROLE }))
}

interface Ground {
  readonly env: Readonly<Record<string, string>>
  readonly adminUrl: string | undefined
  remove(): Promise<void>
}

async function embeddedGround(): Promise<Ground> {
  const dataDir = await copyEmbeddedTemplate()
  return {
    env: { SOTTO_DATA_DIR: dataDir },
    adminUrl: undefined,
    remove: () => rm(dataDir, { recursive: true, force: true }),
  }
}

async function postgresGround(own: PostgresServer | undefined): Promise<Ground> {
  const serverUrl = own?.adminUrl() ?? process.env[testEnvironment.postgresUrl]
  if (serverUrl === undefined) throw new Error('No PostgreSQL: run through vitest, whose global setup starts one')
  const template = own === undefined ? process.env[testEnvironment.postgresTemplate] : undefined
  const name = await createPostgresDatabase(serverUrl, template)
  const adminUrl = withDatabase(serverUrl, name)
  const url = adminUrl.replace('//postgres@', `//${TEST_LOGIN_ROLE}@`)
  return {
    env: { DATABASE_URL: url, DATABASE_OWNER_URL: adminUrl },
    adminUrl,
    async remove() {
      if (own !== undefined) return
      await asAdmin(serverUrl, async (client) => void (await client.query(`drop database ${name} with (force)`)))
    },
  }
}

const origin = { requestId: 'test-set-up', address: null }

export async function createClinic(composition: Composition, slug: string): Promise<Clinic> {
  const { identity, operations, ids } = composition
  const created = await identity.createTenant(origin, {
    slug,
    name: 'Test clinic',
    administrator: { login: 'ada', displayName: 'Ada the administrator' },
  })
  const ada = await redeem(composition, 'ada', created.signInLink.token.reveal())
  const clinic: Partial<Record<PersonName, Person>> = { ada }
  for (const [login, { name, role }] of Object.entries(people)) {
    const userId = ids.next<UserId>()
    await operations.createUser(ada.ctx, { userId, login, displayName: name, role, teamIds: [] })
    const { token } = await operations.createSignInLink(ada.ctx, { userId })
    clinic[login as PersonName] = await redeem(composition, login, token)
  }
  return { slug, ...(clinic as Record<PersonName, Person>) }
}

async function redeem({ operations, identity }: Composition, login: string, token: string): Promise<Person> {
  const input = {
    token,
    password: TEST_PASSWORD,
    device: { name: `${login}'s device` },
    refreshTokenIn: 'body' as const,
  }
  const signedIn = await operations.redeemSignInLink(origin, input)
  const accessToken = signedIn.accessToken.reveal()
  const ctx = await identity.authenticate(accessToken, origin)
  return { login, userId: ctx.userId, role: ctx.role, accessToken, ctx }
}
