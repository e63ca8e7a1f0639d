import { describe, expect, test } from 'vitest'
import { instant } from '../../platform/time/clock.ts'
import { countAttempt, failuresNow, signInWaitMs } from './throttle.model.ts'

const start = instant(1_000_000)
const later = (ms: number) => instant(start + ms)
const counter = (failures: number) => ({ failures, lastFailedAt: start })

describe('the wait after failures', () => {
  test('is nothing at first, then doubles to the maximum, and is never more', () => {
    const waits = Array.from({ length: 11 }, (_, failures) =>
      signInWaitMs('login-address', counter(failures), start, 30_000),
    )
    expect(waits).toEqual([0, 0, 0, 0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
    expect(signInWaitMs('login-address', counter(2 ** 31 - 1), start, 30_000)).toBe(30_000)
  })

  test('passes', () => {
    expect(signInWaitMs('device', counter(7), later(500), 30_000)).toBe(1_500)
    expect(signInWaitMs('device', counter(7), later(2_000), 30_000)).toBe(0)
  })

  test('does not grow when the clock is set back, and is no lock-out until it has caught up', () => {
    expect(signInWaitMs('device', counter(7), later(-1_000), 30_000)).toBe(2_000)
    expect(signInWaitMs('device', counter(7), later(-3_600_000), 30_000)).toBe(0)
  })
})

test('quiet time forgives, one failure after the other', () => {
  expect(failuresNow('device', counter(8), later(59_999))).toBe(8)
  expect(failuresNow('device', counter(8), later(180_000))).toBe(5)
  expect(failuresNow('device', counter(8), later(86_400_000))).toBe(0)
  expect(countAttempt('device', counter(8), later(180_000))).toEqual({ failures: 6, lastFailedAt: later(180_000) })
})
