import { describe, expect, test } from 'vitest'
import { limitDefaults, limitSpecs } from '@sotto/protocol'
import { loadConfig, settings, type ConfigurationRefused } from './config.ts'
import { limitOrder, limitSetting, tunableLimits } from './limit-settings.ts'

function problemsOf(env: Readonly<Record<string, string>>): readonly string[] {
  try {
    loadConfig(env)
    return []
  } catch (error) {
    return (error as ConfigurationRefused).problems
  }
}

describe('the configuration', () => {
  test('is complete without any setting: loopback, embedded, keyring beside the data', () => {
    const config = loadConfig({})
    expect(config).toMatchObject({ host: '127.0.0.1', port: 8080, database: { kind: 'embedded' }, trustProxy: false })
    expect(config.keyringDir).toBe(`${config.dataDir}.keyring`)
    expect(Object.isFrozen(config)).toBe(true)
  })

  test('takes an empty setting for one that is not there', () => {
    const empty = Object.fromEntries(
      [...Object.keys(settings), ...tunableLimits.map(limitSetting)].map((one) => [one, '']),
    )
    expect(loadConfig(empty)).toEqual(loadConfig({}))
  })

  test('lets a command choose what counts where nothing is set, and the operator have the last word', () => {
    const defaults = { SOTTO_LOG_LEVEL: 'warn' }
    expect(loadConfig({}, defaults).logLevel).toBe('warn')
    expect(loadConfig({ SOTTO_LOG_LEVEL: 'debug' }, defaults).logLevel).toBe('debug')
    expect(loadConfig({ SOTTO_LOG_LEVEL: '' }, defaults).logLevel).toBe('warn')
  })

  test('refuses what contradicts itself', () => {
    expect(problemsOf({ DATABASE_OWNER_URL: 'postgres://owner@db/sotto' })).toHaveLength(1)
    expect(problemsOf({ SOTTO_DATA_DIR: '/data', SOTTO_KEYRING_DIR: '/data/keys' })).toHaveLength(1)
    expect(problemsOf({ SOTTO_DATA_DIR: '/data', SOTTO_KEYRING_DIR: '/database-keys' })).toEqual([])
    expect(problemsOf({ SOTTO_DATA_DIR: '/keys/data', SOTTO_KEYRING_DIR: '/keys' })).toHaveLength(1)
    expect(problemsOf({ SOTTO_DATA_DIR: '/', SOTTO_KEYRING_DIR: '/keys' })).toHaveLength(1)
    expect(problemsOf({ SOTTO_DATABASE_POOL: '8', SOTTO_DATABASE_LANES: '2' })).toHaveLength(2)
    const postgres = { DATABASE_URL: 'postgres://a@db/x' }
    expect(problemsOf({ ...postgres, SOTTO_DATABASE_POOL: '8', SOTTO_DATABASE_LANES: '2' })).toEqual([])
  })

  const wrong: readonly (readonly [name: string, ...values: readonly string[]])[] = [
    ['SOTTO_HOST', 'not a host!', 'http://localhost', '127.0.0.1:80', '1.2.3', '[::1]', 'a..b', '-'],
    ['SOTTO_PORT', ' ', '0x50', '8e3', '80.5', '-1', '65536', '+80', '080 '],
    ['SOTTO_PUBLIC_URL', 'ftp://a', 'https://ada:pw@a', 'https://a/chat', 'https://a/?b', 'https://a?', 'https://a/#b'],
    ['DATABASE_URL', 'mysql://a@db/x', 'postgres://db/x', 'postgres://a:%zz@db/x', 'postgres://%a@db/x'],
    ['NODE_ENV', 'prod', 'Production', 'staging'],
  ]
  test.each(wrong)('refuses a %s that is not one', (name, ...values) => {
    for (const value of values) {
      const problems = problemsOf({ [name]: value })
      expect(problems, value).toHaveLength(1)
      expect(problems[0], value).toMatch(new RegExp(`^${name} `))
    }
  })

  test('takes what is one', () => {
    for (const host of ['localhost', '::', '0.0.0.0', 'db_1.example.org', 'fe80::1', '10.example'])
      expect(loadConfig({ SOTTO_HOST: host }).host).toBe(host)
    expect(loadConfig({ SOTTO_PUBLIC_URL: 'https://Chat.example.org/' }).publicUrl).toBe('https://chat.example.org')
    expect(loadConfig({ SOTTO_HOST: '::1', SOTTO_PORT: '80' }).publicUrl).toBe('http://[::1]:80')
    expect(problemsOf({ DATABASE_URL: 'postgres://a:b%25c@db/x', DATABASE_OWNER_URL: 'postgresql://o@db' })).toEqual([])
    for (const name of ['', 'test', 'development']) expect(loadConfig({ NODE_ENV: name }).isProduction).toBe(false)
    expect(loadConfig({ NODE_ENV: 'production' }).isProduction).toBe(true)
  })

  test('refuses an unknown name, says which is near, and leaves the names of others alone', () => {
    expect(problemsOf({ SOTTO_DATADIR: '/data' })).toEqual([
      'SOTTO_DATADIR is not a setting of Sotto; is SOTTO_DATA_DIR meant?',
    ])
    expect(problemsOf({ SOTTO_WONDERFUL: '1' })[0]).toContain('docs/reference/settings.md lists them all')
    expect(problemsOf({ OTHER_PORT: 'x', SOTTO_TEST_LONG: '1' })).toEqual([])
  })

  test('repeats no secret in what it refuses', () => {
    const urls = ['http://a:hunter2@db', 'postgres://:hunter2@db/x', 'postgres://%zz:hunter2@db/x']
    for (const url of urls) expect(problemsOf({ DATABASE_URL: url }).join()).not.toContain('hunter2')
    expect(problemsOf({ SOTTO_PUBLIC_URL: 'https://a:hunter2@b/c' }).join()).not.toContain('hunter2')
    expect(JSON.stringify(loadConfig({ DATABASE_URL: 'postgres://a:hunter2@db/x' }))).not.toContain('hunter2')
  })

  test('takes only limits that an operator may change', () => {
    expect(loadConfig({ SOTTO_LIMIT_REQUESTS_PER_SECOND: '7' }).limits.requestsPerSecond).toBe(7)
    expect(problemsOf({ SOTTO_LIMIT_MESSAGE_BYTES_MAX: '7' })).toHaveLength(1)
  })

  test('keeps every limit between its bounds, and tells all that are not', () => {
    for (const name of tunableLimits) {
      const { min, max, value } = limitSpecs[name]
      expect(value >= min && value <= max, name).toBe(true)
      for (const wrong of [min - 1, max + 1, 2 ** 53 - 1, 'often', '1e3', ' 7', '0x7'])
        expect(problemsOf({ [limitSetting(name)]: String(wrong) })[0], `${name} ${wrong}`).toBe(
          `${limitSetting(name)} is not a whole number from ${min} to ${max} (${limitSpecs[name].unit})`,
        )
    }
    const all = Object.fromEntries(tunableLimits.map((name) => [limitSetting(name), '0']))
    expect(problemsOf(all)).toHaveLength(tunableLimits.length)
  })

  test('refuses limits that contradict each other, and tells every pair', () => {
    expect(
      problemsOf({
        SOTTO_LIMIT_SESSION_IDLE_SECONDS: '200',
        SOTTO_LIMIT_SESSION_ABSOLUTE_SECONDS: '100',
        SOTTO_LIMIT_REFRESH_GRACE_SECONDS: '60',
        SOTTO_LIMIT_ACCESS_TOKEN_SECONDS: '59',
      }),
    ).toEqual([
      'SOTTO_LIMIT_SESSION_IDLE_SECONDS (200) is more than SOTTO_LIMIT_SESSION_ABSOLUTE_SECONDS (100): a session would end before it can be idle',
      'SOTTO_LIMIT_SESSION_EXPIRING_SECONDS (120) is more than SOTTO_LIMIT_SESSION_ABSOLUTE_SECONDS (100): a session would be expiring before it begins',
      'SOTTO_LIMIT_REFRESH_GRACE_SECONDS (60) is more than SOTTO_LIMIT_ACCESS_TOKEN_SECONDS (59): a refresh token that is used twice would not be noticed',
    ])
    for (const [smaller, larger] of limitOrder)
      expect(limitDefaults[smaller]).toBeLessThanOrEqual(limitDefaults[larger])
  })
})
