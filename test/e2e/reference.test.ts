/** @feature J1 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { desk, inspect, setStage, type Stage } from './stage.testing.ts'

let stage: Stage

beforeAll(async () => {
  stage = await setStage()
}, 240_000)

afterAll(() => stage?.[Symbol.asyncDispose]())

test('the API page and its problem codes are free of accessibility violations, and lead to each other', async () => {
  const found: unknown[] = []
  const reader = await stage.openDevice(desk)
  await reader.goto('/reference')
  found.push(...(await inspect(reader, 'api', { ruleWidths: [360] })))
  await reader.getByRole('link', { name: 'sendMessage' }).click()
  const sendMessage = reader.locator('#sendMessage')
  await sendMessage.getByRole('heading', { name: 'POST /v1/conversations/:conversationId/entries' }).waitFor()
  await sendMessage.getByRole('link', { name: 'access/not-found' }).click()
  await reader.getByRole('heading', { name: 'access/not-found' }).waitFor()
  found.push(...(await inspect(reader, 'api-problems', { ruleWidths: [360] })))
  expect(found).toEqual([])
  expect(stage.notes.faults).toEqual([])
  expect([...stage.notes.origins]).toEqual([stage.url])
}, 240_000)
