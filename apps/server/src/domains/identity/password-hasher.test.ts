import { createSecretKey, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { systemRandom } from '../../platform/ids/ids.ts'
import { Secret } from '../../platform/phi/phi.ts'
import { Problem } from '../../platform/problem/problem.ts'
import { argon2Defaults, createPasswordHasher, createTurns, encodePhc, parsePhc } from './password-hasher.ts'

const pepper = createSecretKey(randomBytes(32))
const cheap = { memoryKiB: 64, passes: 1, lanes: 1 }
const hasher = createPasswordHasher({ random: systemRandom, pepper, parameters: cheap })
const password = new Secret('seven umbrellas wait')

function verify(by: typeof hasher, given: Secret<string>, encoded: string | undefined): Promise<boolean> {
  return by.verify(given, encoded, by.reserve('unknown'))
}

test('a password verifies under its own hash and no other does', async () => {
  const encoded = await hasher.hash(password)
  expect(encoded).not.toContain('umbrellas')
  expect(await verify(hasher, password, encoded)).toBe(true)
  expect(await verify(hasher, new Secret('seven umbrellas wai'), encoded)).toBe(false)
  expect(await verify(hasher, password, undefined)).toBe(false)
})

test('one password has another hash each time, and the same in another Unicode form', async () => {
  const encoded = await hasher.hash(new Secret('caf\u00e9 at the corner'))
  expect(await hasher.hash(new Secret('caf\u00e9 at the corner'))).not.toBe(encoded)
  expect(await verify(hasher, new Secret('cafe\u0301 at the corner'), encoded)).toBe(true)
})

test('a copy of the database is worth nothing without the keyring', async () => {
  const encoded = await hasher.hash(password)
  const elsewhere = createPasswordHasher({
    random: systemRandom,
    pepper: createSecretKey(randomBytes(32)),
    parameters: cheap,
  })
  expect(await verify(elsewhere, password, encoded)).toBe(false)
})

test('the usual parameters are at least those that OWASP asks for, and a hash says with which it was made', async () => {
  const usual = createPasswordHasher({ random: systemRandom, pepper })
  const encoded = await usual.hash(password)
  expect(encoded).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  expect(parsePhc(encoded)).toMatchObject(argon2Defaults)
  expect(encodePhc(parsePhc(encoded))).toBe(encoded)
  expect(usual.isOutdated(encoded)).toBe(false)
  expect(usual.isOutdated(await hasher.hash(password))).toBe(true)
  expect(await verify(usual, password, await hasher.hash(password))).toBe(true)
})

test('what is stored in another form is not taken for a wrong password', async () => {
  await expect(verify(hasher, password, '$2b$12$abcdefghijklmnopqrstuv')).rejects.toThrow('not in the form')
})

/** Work that is under way until it is let go. */
function gated(started: string[]) {
  const gates = new Map<string, PromiseWithResolvers<void>>()
  return {
    async work(name: string) {
      started.push(name)
      const gate = Promise.withResolvers<void>()
      gates.set(name, gate)
      await gate.promise
    },
    open: (name: string) => gates.get(name)!.resolve(),
    fail: (name: string) => gates.get(name)!.reject(new Error('failed in its turn')),
  }
}

test('no more work runs at once than there are turns, in the order of coming, and who finds no place is told at once', async () => {
  const reserve = createTurns(2, 3)
  const started: string[] = []
  const { work, open, fail } = gated(started)
  const runs = ['a', 'b', 'c', 'd', 'e'].map(async (name) => {
    using place = reserve('unknown')
    await place.run(() => work(name))
  })
  expect(() => reserve('unknown')).toThrow(Problem)
  expect(started).toEqual(['a', 'b'])
  fail('b')
  await expect(runs[1]).rejects.toThrow('failed in its turn')
  await expect.poll(() => started).toEqual(['a', 'b', 'c'])
  for (const [index, name] of ['a', 'c', 'd', 'e'].entries()) {
    await expect.poll(() => started.length).toBeGreaterThan(Math.min(index + 1, 4))
    open(name)
  }
  await Promise.allSettled(runs)
  expect(started).toEqual(['a', 'b', 'c', 'd', 'e'])
  for (let round = 0; round < 5; round++) {
    using place = reserve('unknown')
    await place.run(async () => undefined)
  }
})

test('who has proved something finds a place in any flood of others, and has the next turn', async () => {
  const reserve = createTurns(1, 3)
  const started: string[] = []
  const { work, open } = gated(started)
  const runs = ['a', 'b', 'c', 'd'].map((name) => reserve('unknown').run(() => work(name)))
  expect(() => reserve('unknown')).toThrow(Problem)
  const nurse = reserve('proven').run(() => work('nurse'))
  open('a')
  await expect.poll(() => started).toEqual(['a', 'nurse'])
  open('nurse')
  await nurse
  for (const name of ['b', 'c', 'd']) {
    await expect.poll(() => started).toContain(name)
    open(name)
  }
  await Promise.all(runs)
})
