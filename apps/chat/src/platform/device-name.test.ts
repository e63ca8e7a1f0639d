import { expect, test } from 'vitest'
import { deviceName, UNNAMED_DEVICE } from './device-name.ts'

test('a device is named by what is called the same in every language', () => {
  expect(deviceName('Mozilla/5.0 (Android 16; Mobile) Gecko Firefox/140.0')).toBe('Firefox · Android')
  expect(deviceName('Lynx/2.9 (Linux)')).toBe('Linux')
  expect(deviceName('something else')).toBe(UNNAMED_DEVICE)
})
