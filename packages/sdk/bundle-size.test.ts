import { expect, test } from 'vitest'
import { bundleSdk } from './test-support/bundle.testing.ts'

const BUDGET_BYTES = 30_000

test('the SDK with its browser storage stays within 30 kB (gzip), and brings no schema library along', async () => {
  const { code, gzipBytes } = await bundleSdk()
  expect(gzipBytes).toBeLessThanOrEqual(BUDGET_BYTES)
  expect(code).not.toMatch(/ZodError|node:/)
  console.info(`@sotto/sdk: ${gzipBytes} bytes of ${BUDGET_BYTES}`)
})
