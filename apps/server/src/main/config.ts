import { availableParallelism } from 'node:os'
import { isAbsolute, relative, resolve, sep } from 'node:path'
import type { Limits } from '@sotto/protocol'
import type { LogLevel } from '../platform/log/log.ts'
import type { Secret } from '../platform/phi/phi.ts'
import { limitSetting, readLimits, tunableLimits } from './limit-settings.ts'
import { createReader, type Environment, type Reader } from './read-settings.ts'
import { similarName } from './similar-name.ts'

/**
 * Settings come from the environment, here and nowhere else: names → typed, defaulted, cross-checked, frozen. Every problem
 * is told at once. The table of settings below is also the reference (`docs/reference/settings.md`).
 */
export interface Config {
  readonly host: string
  readonly port: number
  /** What people type to get here; decides whether cookies are Secure. */
  readonly publicUrl: string
  readonly allowedOrigins: readonly string[]
  readonly trustProxy: boolean
  readonly dataDir: string
  readonly keyringDir: string
  readonly database:
    | { readonly kind: 'embedded' }
    | { readonly kind: 'postgres'; readonly url: Secret<string>; readonly poolSize: number; readonly lanes: number }
  /** How migrations connect; only `sotto migrate` and `sotto init` need it. */
  readonly ownerUrl: Secret<string> | undefined
  readonly logLevel: LogLevel
  readonly limits: Limits
  /** NODE_ENV=production: what is only for trying out refuses to run. */
  readonly isProduction: boolean
}

export interface SettingSpec {
  readonly meaning: string
  readonly fallback: string
  readonly secret?: true
}

const NOT_SET = '(not set)'
const LANES_MAX = 32
const DEFAULT_LANES = Math.min(LANES_MAX, Math.max(1, availableParallelism() >> 1))

export const settings = {
  SOTTO_HOST: { meaning: 'Address to listen on. Anything but loopback wants TLS in front.', fallback: '127.0.0.1' },
  SOTTO_PORT: { meaning: 'Port to listen on; 0 takes a free one.', fallback: '8080' },
  SOTTO_PUBLIC_URL: {
    meaning:
      'The address people use, e.g. https://chat.example.org: scheme, host and port. With https, cookies are Secure.',
    fallback: 'http://<host>:<port>',
  },
  SOTTO_ALLOWED_ORIGINS: {
    meaning: 'Origins of other pages that may call the API, separated by commas.',
    fallback: '(none)',
  },
  SOTTO_TRUST_PROXY: {
    meaning: "true: take the caller's address from X-Forwarded-For of the proxy in front.",
    fallback: 'false',
  },
  SOTTO_DATA_DIR: { meaning: 'Folder of the embedded database. One server at a time.', fallback: '.sotto/data' },
  SOTTO_KEYRING_DIR: {
    meaning: 'Folder of the local keyring. Never inside the data folder or around it, and never in the same backup.',
    fallback: '<SOTTO_DATA_DIR>.keyring',
  },
  DATABASE_URL: {
    meaning: 'PostgreSQL 15 or newer, as the login role. Without it the embedded database is used.',
    fallback: '(embedded)',
    secret: true,
  },
  DATABASE_OWNER_URL: {
    meaning: 'PostgreSQL as a role that may migrate. Read by `sotto migrate` and `sotto init` only.',
    fallback: '(none)',
    secret: true,
  },
  SOTTO_DATABASE_POOL: { meaning: 'Connections for ordinary transactions; with DATABASE_URL only.', fallback: '8' },
  SOTTO_DATABASE_LANES: {
    meaning:
      'Connections for group commit; conversations are spread over them. More of them make smaller batches, which cost more. With DATABASE_URL only.',
    fallback: '(half as many as this machine has cores)',
  },
  SOTTO_LOG_LEVEL: {
    meaning: 'debug, info, warn, error or silent. The demo says no more than warnings unless it is set.',
    fallback: 'info',
  },
  NODE_ENV: {
    meaning:
      'production, development or test. With production the demo clinic, whose passwords are public, refuses to be made; without it, it is made only when asked for (`serve --demo`, `seed`).',
    fallback: NOT_SET,
  },
} as const satisfies Record<string, SettingSpec>

type Setting = keyof typeof settings
const settingNames = Object.keys(settings) as Setting[]

/** Every problem of the configuration, for people. */
export class ConfigurationRefused extends Error {
  override readonly name = 'ConfigurationRefused'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`The configuration cannot be used:\n${problems.map((one) => `  - ${one}`).join('\n')}`)
    this.problems = problems
  }
}

/**
 * @param defaults  what a command takes where nothing is set
 * @throws ConfigurationRefused with all problems
 */
export function loadConfig(env: Environment = process.env, defaults: Environment = {}): Config {
  const problems: string[] = []
  const fallbacks = Object.fromEntries(
    settingNames.map((name) => [name, defaults[name] ?? settings[name].fallback]),
  ) as Record<Setting, string>
  const read = createReader(env, fallbacks, problems)
  refuseUnknown(env, problems)
  const host = read.host('SOTTO_HOST')
  const port = read.integer('SOTTO_PORT', 0, 65_535)
  const config: Config = {
    host,
    port,
    publicUrl: read.address('SOTTO_PUBLIC_URL') ?? `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    allowedOrigins: read.origins('SOTTO_ALLOWED_ORIGINS'),
    trustProxy: read.oneOf('SOTTO_TRUST_PROXY', ['true', 'false']) === 'true',
    ...readFolders(read, problems),
    database: readDatabase(read, problems),
    ownerUrl: read.databaseUrl('DATABASE_OWNER_URL'),
    logLevel: read.oneOf('SOTTO_LOG_LEVEL', ['debug', 'info', 'warn', 'error', 'silent']),
    limits: readLimits(env, problems),
    isProduction: read.oneOf('NODE_ENV', ['production', 'development', 'test', NOT_SET]) === 'production',
  }
  if (config.ownerUrl !== undefined && config.database.kind === 'embedded')
    problems.push('DATABASE_OWNER_URL is set and DATABASE_URL is not: which database is meant?')
  if (problems.length > 0) throw new ConfigurationRefused(problems)
  return Object.freeze(config)
}

function readFolders(read: Reader<Setting>, problems: string[]): Pick<Config, 'dataDir' | 'keyringDir'> {
  const dataDir = resolve(read.text('SOTTO_DATA_DIR'))
  const keyringDir = resolve(read.find('SOTTO_KEYRING_DIR') ?? `${dataDir}.keyring`)
  if (isInside(keyringDir, dataDir))
    problems.push('SOTTO_KEYRING_DIR lies inside SOTTO_DATA_DIR: a copy of the data would carry its own keys')
  else if (isInside(dataDir, keyringDir))
    problems.push('SOTTO_DATA_DIR lies inside SOTTO_KEYRING_DIR: a copy of the keyring would carry the data')
  return { dataDir, keyringDir }
}

/** Also true of a folder and itself. */
function isInside(inner: string, outer: string): boolean {
  const path = relative(outer, inner)
  return path !== '..' && !path.startsWith(`..${sep}`) && !isAbsolute(path)
}

function readDatabase(read: Reader<Setting>, problems: string[]): Config['database'] {
  const poolSize = read.integer('SOTTO_DATABASE_POOL', 1, 200)
  const lanes =
    read.find('SOTTO_DATABASE_LANES') === undefined ? DEFAULT_LANES : read.integer('SOTTO_DATABASE_LANES', 1, LANES_MAX)
  const url = read.databaseUrl('DATABASE_URL')
  if (url !== undefined) return { kind: 'postgres', url, poolSize, lanes }
  for (const name of ['SOTTO_DATABASE_POOL', 'SOTTO_DATABASE_LANES'] as const)
    if (read.find(name) !== undefined)
      problems.push(`${name} is set and DATABASE_URL is not: the embedded database has one connection`)
  return { kind: 'embedded' }
}

function refuseUnknown(env: Environment, problems: string[]): void {
  const known = new Set<string>([...settingNames, ...tunableLimits.map(limitSetting)])
  for (const name of Object.keys(env)) {
    if (!name.startsWith('SOTTO_') || name.startsWith('SOTTO_TEST_') || known.has(name)) continue
    const meant = similarName(name, known)
    const advice = meant === undefined ? 'docs/reference/settings.md lists them all' : `is ${meant} meant?`
    problems.push(`${name} is not a setting of Sotto; ${advice}`)
  }
}
