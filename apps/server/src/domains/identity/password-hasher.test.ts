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

test('a password verifies under its own hash and no other does', async () => {
  const encoded = await hasher.hash(password)
  expect(encoded).not.toContain('umbrellas')
  expect(await hasher.verify(password, encoded)).toBe(true)
  expect(await hasher.verify(new Secret('seven umbrellas wai'), encoded)).toBe(false)
  expect(await hasher.verify(password, undefined)).toBe(false)
})

test('one password has another hash each time, and the same in another Unicode form', async () => {
  const encoded = await hasher.hash(new Secret('caf\u00e9 at the corner'))
  expect(await hasher.hash(new Secret('caf\u00e9 at the corner'))).not.toBe(encoded)
  expect(await hasher.verify(new Secret('cafe\u0301 at the corner'), encoded)).toBe(true)
})

test('a copy of the database is worth nothing without the keyring', async () => {
  const encoded = await hasher.hash(password)
  const elsewhere = createPasswordHasher({
    random: systemRandom,
    pepper: createSecretKey(randomBytes(32)),
    parameters: cheap,
  })
  expect(await elsewhere.verify(password, encoded)).toBe(false)
})

test('the usual parameters are at least those that OWASP asks for, and a hash says with which it was made', async () => {
  const usual = createPasswordHasher({ random: systemRandom, pepper })
  const encoded = await usual.hash(password)
  expect(encoded).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  expect(parsePhc(encoded)).toMatchObject(argon2Defaults)
  expect(encodePhc(parsePhc(encoded))).toBe(encoded)
  expect(usual.isOutdated(encoded)).toBe(false)
  expect(usual.isOutdated(await hasher.hash(password))).toBe(true)
  expect(await usual.verify(password, await hasher.hash(password))).toBe(true)
})

test('what is stored in another form is not taken for a wrong password', async () => {
  await expect(hasher.verify(password, '$2b$12$abcdefghijklmnopqrstuv')).rejects.toThrow('not in the form')
})

test('no more work runs at once than there are turns, in the order of coming, and too long a queue is refused', async () => {
  const inTurn = createTurns(2, 3)
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>())
  const started: number[] = []
  const runs = gates.map((gate, index) =>
    inTurn(async () => {
      started.push(index)
      await gate.promise
      if (index === 1) throw new Error('failed in its turn')
    }),
  )
  await expect(inTurn(async () => {})).rejects.toThrow(Problem)
  expect(started).toEqual([0, 1])
  gates[1]!.resolve()
  await expect(runs[1]).rejects.toThrow('failed in its turn')
  await expect.poll(() => started).toEqual([0, 1, 2])
  for (const gate of gates) gate.resolve()
  await Promise.allSettled(runs)
  expect(started).toEqual([0, 1, 2, 3, 4])
  await inTurn(async () => void started.push(5))
  expect(started).toContain(5)
})
