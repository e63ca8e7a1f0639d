import { describe, expect, test } from 'vitest'
import { limitSetting, loadConfig, settings, tunableLimits, type ConfigurationRefused } from './config.ts'

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
  })

  test('refuses what contradicts itself', () => {
    expect(problemsOf({ DATABASE_OWNER_URL: 'postgres://owner@db/sotto' })).toHaveLength(1)
    expect(problemsOf({ SOTTO_DATA_DIR: '/data', SOTTO_KEYRING_DIR: '/data/keys' })).toHaveLength(1)
    expect(problemsOf({ SOTTO_DATA_DIR: '/data', SOTTO_KEYRING_DIR: '/database-keys' })).toEqual([])
    expect(problemsOf({ SOTTO_LIMIT_ACCESS_TOKEN_SECONDS: '301' })).toHaveLength(1)
  })

  test('refuses an unknown name, says which is near, and leaves the names of others alone', () => {
    expect(problemsOf({ SOTTO_DATADIR: '/data' })).toEqual([
      'SOTTO_DATADIR is not a setting of Sotto; is SOTTO_DATA_DIR meant?',
    ])
    expect(problemsOf({ SOTTO_WONDERFUL: '1' })[0]).toContain('docs/reference/settings.md lists them all')
    expect(problemsOf({ OTHER_PORT: 'x', SOTTO_TEST_LONG: '1' })).toEqual([])
  })

  test('repeats no secret in what it refuses', () => {
    expect(problemsOf({ DATABASE_URL: 'http://a:hunter2@db' }).join()).not.toContain('hunter2')
    expect(JSON.stringify(loadConfig({ DATABASE_URL: 'postgres://a:hunter2@db/x' }))).not.toContain('hunter2')
  })

  test('takes only limits that an operator may change', () => {
    expect(loadConfig({ SOTTO_LIMIT_REQUESTS_PER_SECOND: '7' }).limits.requestsPerSecond).toBe(7)
    expect(problemsOf({ SOTTO_LIMIT_MESSAGE_BYTES_MAX: '7' })).toHaveLength(1)
  })
})
