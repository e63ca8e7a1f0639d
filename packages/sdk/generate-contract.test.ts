import { expect, test } from 'vitest'
import { isFresh } from './generate-contract.ts'

test('the tables of the contract are those of the protocol (else: node packages/sdk/generate-contract.ts)', () => {
  expect(isFresh()).toBe(true)
})
