import { expect, test } from 'vitest'
import { SealBroken } from '../../platform/crypto/envelope.ts'
import { renderProblem, type Problem } from '../../platform/problem/problem.ts'
import { noticeTampering } from './notice-tampering.ts'

const thing = { kind: 'title', id: '0194c8f0-0000-7000-8000-000000000001' } as const

test('what opens is passed on', async () => {
  expect(await noticeTampering(thing, async () => 'Knee, left')).toBe('Knee, left')
})

test('what does not open is known by its ids to the log, and to nobody else', async () => {
  const cause = new SealBroken()
  const refusal = (await noticeTampering(thing, () => Promise.reject(cause)).catch(
    (error: unknown) => error,
  )) as Problem
  expect(refusal).toMatchObject({ code: 'keys/tampered', tampered: thing, cause })
  expect(refusal.asRecorded()).toMatchObject({ tampered: thing, cause })
  const told = renderProblem(refusal, 'request')
  expect(told).toMatchObject({ status: 500, retry: 'never', detail: expect.stringContaining('operator') as string })
  expect(JSON.stringify(told)).not.toContain(thing.id)
})

test('what fails for another reason is no tampering', async () => {
  const error = new Error('the keyring is away')
  await expect(noticeTampering(thing, () => Promise.reject(error))).rejects.toBe(error)
})
