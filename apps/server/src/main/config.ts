import { resolve } from 'node:path'
import { limitDefaults, limitSpecs, type LimitName, type Limits } from '@sotto/protocol'
import type { LogLevel } from '../platform/log/log.ts'
import { Secret } from '../platform/phi/phi.ts'
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

export const settings = {
  SOTTO_HOST: { meaning: 'Address to listen on. Anything but loopback wants TLS in front.', fallback: '127.0.0.1' },
  SOTTO_PORT: { meaning: 'Port to listen on; 0 takes a free one.', fallback: '8080' },
  SOTTO_PUBLIC_URL: {
    meaning: 'The address people use, e.g. https://chat.example.org. With https, cookies are Secure.',
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
    meaning: 'Folder of the local keyring. Never inside the data folder, and never in the same backup.',
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
  SOTTO_DATABASE_POOL: { meaning: 'Connections for ordinary transactions.', fallback: '8' },
  SOTTO_DATABASE_LANES: { meaning: 'Connections for group commit; conversations are spread over them.', fallback: '2' },
  SOTTO_LOG_LEVEL: {
    meaning: 'debug, info, warn, error or silent. The demo says no more than warnings unless it is set.',
    fallback: 'info',
  },
  NODE_ENV: {
    meaning: 'production: the demo clinic, whose passwords are public, refuses to be made.',
    fallback: '(not set)',
  },
} as const satisfies Record<string, SettingSpec>

/** Limits that an operator may change: SOTTO_LIMIT_<NAME>. The others are part of the contract. */
export const tunableLimits = [
  'socketsPerUserMax',
  'socketQueueBytesMax',
  'socketCommandsPerSecond',
  'socketCommandsBurst',
  'socketUnansweredMax',
  'socketFloodMs',
  'requestsPerSecond',
  'requestsBurst',
  'signInsPerAddressPerSecond',
  'signInsPerAddressBurst',
  'signInDelayMsMax',
  'accessTokenSeconds',
  'socketTicketSeconds',
  'refreshGraceSeconds',
  'sessionIdleSeconds',
  'sessionAbsoluteSeconds',
  'sessionExpiringSeconds',
  'heartbeatMs',
] as const satisfies readonly LimitName[]

export function limitSetting(name: LimitName): string {
  return `SOTTO_LIMIT_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

/** Every problem of the configuration, for people. */
export class ConfigurationRefused extends Error {
  override readonly name = 'ConfigurationRefused'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`The configuration cannot be used:\n${problems.map((one) => `  - ${one}`).join('\n')}`)
    this.problems = problems
  }
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * @param defaults  what a command takes where nothing is set
 * @throws ConfigurationRefused with all problems
 */
export function loadConfig(env: Environment = process.env, defaults: Environment = {}): Config {
  const problems: string[] = []
  const read = createReader({ ...defaults, ...env }, problems)
  refuseUnknown(env, problems)
  const host = read.text('SOTTO_HOST')
  const port = read.integer('SOTTO_PORT', 0, 65_535)
  const dataDir = resolve(read.text('SOTTO_DATA_DIR'))
  const keyringDir = resolve(env['SOTTO_KEYRING_DIR'] || `${dataDir}.keyring`)
  if (`${keyringDir}/`.startsWith(`${dataDir}/`))
    problems.push('SOTTO_KEYRING_DIR lies inside SOTTO_DATA_DIR: a copy of the data would carry its own keys')
  const publicUrl =
    read.url('SOTTO_PUBLIC_URL', ['http:', 'https:']) ?? `http://${host.includes(':') ? `[${host}]` : host}:${port}`
  const config: Config = {
    host,
    port,
    publicUrl,
    allowedOrigins: read.origins('SOTTO_ALLOWED_ORIGINS'),
    trustProxy: read.oneOf('SOTTO_TRUST_PROXY', ['true', 'false']) === 'true',
    dataDir,
    keyringDir,
    database: readDatabase(read),
    ownerUrl: read.secretUrl('DATABASE_OWNER_URL'),
    logLevel: read.oneOf('SOTTO_LOG_LEVEL', ['debug', 'info', 'warn', 'error', 'silent']),
    limits: readLimits(env, problems),
    isProduction: env['NODE_ENV'] === 'production',
  }
  if (config.ownerUrl !== undefined && config.database.kind === 'embedded')
    problems.push('DATABASE_OWNER_URL is set and DATABASE_URL is not: which database is meant?')
  if (config.limits.accessTokenSeconds > limitDefaults.accessTokenSeconds)
    problems.push('SOTTO_LIMIT_ACCESS_TOKEN_SECONDS is more than 300: a revoked user would keep access')
  if (problems.length > 0) throw new ConfigurationRefused(problems)
  return Object.freeze(config)
}

function readDatabase(read: Reader): Config['database'] {
  const poolSize = read.integer('SOTTO_DATABASE_POOL', 1, 200)
  const lanes = read.integer('SOTTO_DATABASE_LANES', 1, 32)
  const url = read.secretUrl('DATABASE_URL')
  return url === undefined ? { kind: 'embedded' } : { kind: 'postgres', url, poolSize, lanes }
}

function readLimits(env: Environment, problems: string[]): Limits {
  const changed: Partial<Record<LimitName, number>> = {}
  for (const name of tunableLimits) {
    const text = env[limitSetting(name)]
    if (text === undefined || text === '') continue
    const value = Number(text)
    if (Number.isSafeInteger(value) && value > 0) changed[name] = value
    else problems.push(`${limitSetting(name)} is not a whole number above 0 (${limitSpecs[name].unit})`)
  }
  return Object.freeze({ ...limitDefaults, ...changed })
}

function refuseUnknown(env: Environment, problems: string[]): void {
  const known = new Set<string>([...Object.keys(settings), ...tunableLimits.map(limitSetting)])
  for (const name of Object.keys(env)) {
    if (!name.startsWith('SOTTO_') || name.startsWith('SOTTO_TEST_') || known.has(name)) continue
    const meant = similarName(name, known)
    const advice = meant === undefined ? 'docs/reference/settings.md lists them all' : `is ${meant} meant?`
    problems.push(`${name} is not a setting of Sotto; ${advice}`)
  }
}

type Setting = keyof typeof settings
type Reader = ReturnType<typeof createReader>

function createReader(env: Environment, problems: string[]) {
  const given = (name: Setting) => (env[name] === '' ? undefined : env[name])
  return {
    text: (name: Setting): string => given(name) ?? settings[name].fallback,
    integer(name: Setting, min: number, max: number): number {
      const value = Number(given(name) ?? settings[name].fallback)
      if (!Number.isInteger(value) || value < min || value > max)
        problems.push(`${name} is not a whole number from ${min} to ${max}`)
      return value
    },
    oneOf<const Choice extends string>(name: Setting, choices: readonly Choice[]): Choice {
      const value = (given(name) ?? settings[name].fallback) as Choice
      if (!choices.includes(value)) problems.push(`${name} is none of ${choices.join(', ')}`)
      return value
    },
    url(name: Setting, protocols: readonly string[]): string | undefined {
      const text = given(name)
      if (text === undefined) return undefined
      if (!isUrl(text, protocols))
        problems.push(`${name} is not a URL that begins with ${protocols.map((one) => `${one}//`).join(' or ')}`)
      return text.replace(/\/$/, '')
    },
    /** A database's URL carries a password: it is never repeated in a message. */
    secretUrl(name: Setting): Secret<string> | undefined {
      const text = given(name)
      if (text === undefined) return undefined
      if (!isUrl(text, ['postgres:', 'postgresql:'])) problems.push(`${name} is not a URL that begins with postgres://`)
      return new Secret(text)
    },
    origins(name: Setting): readonly string[] {
      const list = (given(name) ?? '')
        .split(',')
        .map((one) => one.trim())
        .filter((one) => one !== '')
      for (const origin of list)
        if (!isUrl(origin, ['http:', 'https:']) || new URL(origin).origin !== origin)
          problems.push(`${name}: ${origin} is not an origin like https://app.example.org`)
      return list
    },
  }
}

function isUrl(text: string, protocols: readonly string[]): boolean {
  return URL.canParse(text) && protocols.includes(new URL(text).protocol)
}
