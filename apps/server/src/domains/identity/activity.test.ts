import type { SessionId } from '@sotto/protocol'
import { expect, test } from 'vitest'
import { instant } from '../../platform/time/clock.ts'
import { ACTIVITY_WRITE_MS, createActivity } from './activity.ts'

const session = 'alice' as SessionId
const at = (ms: number) => instant(1_800_000_000_000 + ms)

test('an act is due to be written at first, and then at most every half minute, also when the clock is set back', () => {
  const activity = createActivity()
  expect(activity.isDue(session, at(0))).toBe(true)
  activity.noteWritten(session, at(0))
  expect(activity.isDue(session, at(ACTIVITY_WRITE_MS - 1))).toBe(false)
  expect(activity.isDue(session, at(ACTIVITY_WRITE_MS))).toBe(true)
  expect(activity.isDue(session, at(-ACTIVITY_WRITE_MS))).toBe(true)
})

test('the last act is remembered between two writings', () => {
  const activity = createActivity()
  expect(activity.lastActAt(session)).toBe(0)
  activity.noteWritten(session, at(0))
  activity.noteAct(session, at(20_000))
  expect(activity.lastActAt(session)).toBe(at(20_000))
  expect(activity.isDue(session, at(ACTIVITY_WRITE_MS))).toBe(true)
})
