import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { setStage, type Stage } from './stage.testing.ts'

/**
 * A stage for the tests of one file. After each test: no fault on any console, no request to a third party, no name and
 * no word in a title or an address.
 */
export function setUp(options: Parameters<typeof setStage>[0] = {}): Stage {
  const held: { stage?: Stage } = {}
  beforeAll(async () => {
    held.stage = await setStage(options)
  }, 180_000)
  afterAll(async () => {
    await held.stage?.[Symbol.asyncDispose]()
  })
  const stage = (): Stage => {
    if (held.stage === undefined) throw new Error('the stage is set before the first test')
    return held.stage
  }
  afterEach(() => {
    const { faults, origins, inTheOpen } = stage().notes
    expect(faults.splice(0)).toEqual([])
    expect([...origins]).toEqual([stage().url])
    for (const text of inTheOpen) {
      expect(text).not.toMatch(/alice|bob|carmen|nurse|patient|kidney|clinic/i)
      expect(text.replace(stage().url, '')).toMatch(/^(\/?(#\/[\w/-]*)?|about:blank|(\(\d+\) )?Sotto)$/)
    }
  })
  return {
    get url() {
      return stage().url
    },
    get server() {
      return stage().server
    },
    get clinic() {
      return stage().clinic
    },
    get notes() {
      return stage().notes
    },
    openDevice: (options) => stage().openDevice(options),
    open: (person, options) => stage().open(person, options),
    [Symbol.asyncDispose]: () => stage()[Symbol.asyncDispose](),
  }
}

/** What Chromium says of the faults that tests cause on purpose. */
export const expected = {
  offline: /net::ERR_INTERNET_DISCONNECTED/,
  blocked: /net::ERR_FAILED/,
  unauthorized: /status of 401/,
  badRequest: /status of 400/,
  notFound: /status of 404/,
  conflict: /status of 409/,
}

/** Takes the faults off the list that a test has caused. */
export function forgive({ notes: { faults } }: Stage, ...patterns: readonly RegExp[]): void {
  const others = faults.filter((text) => !patterns.some((pattern) => pattern.test(text)))
  faults.splice(0, faults.length, ...others)
}
