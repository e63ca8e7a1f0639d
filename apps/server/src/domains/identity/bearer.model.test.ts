import type { TenantId } from '@sotto/protocol'
import { expect, test } from 'vitest'
import { hashToken } from '../../platform/crypto/tokens.ts'
import { systemRandom } from '../../platform/ids/ids.ts'
import { problem } from '../../platform/problem/problem.ts'
import { newBearer, parseBearer } from './bearer.model.ts'
import { pageOfRows, readIdCursor, writeIdCursor } from './id-cursor.model.ts'

const tenantId = '01900000-0000-7000-8000-0123456789ab' as TenantId

test('a bearer says behind whose wall to look, and only its hash is there', () => {
  const { token, hash } = newBearer(systemRandom, tenantId)
  expect(parseBearer(token.reveal())).toEqual({ tenantId, hash })
  expect(hash).toEqual(hashToken(token))
  expect(newBearer(systemRandom, tenantId).hash).not.toEqual(hash)
})

test.each([
  '',
  '.',
  'x'.repeat(66),
  `${'A'.repeat(22)}.${'A'.repeat(42)}`,
  `${'_'.repeat(22)}.${'A'.repeat(43)}`,
  'ä'.repeat(100),
])('what cannot be one of ours is none: %s', (text) => {
  expect(parseBearer(text)).toBeUndefined()
})

test('the key of a page leads back to its last item; anything else is invalid input', () => {
  expect(readIdCursor(undefined)).toBeNull()
  expect(readIdCursor(writeIdCursor(tenantId))).toBe(tenantId)
  expect(() => readIdCursor("' or 1=1")).toThrow(problem('platform/invalid-input').message)
  expect(pageOfRows(['a', 'b'], 2, String)).toEqual({ items: ['a', 'b'], next: null })
  expect(pageOfRows([tenantId, 'b'], 1, String)).toEqual({ items: [tenantId], next: writeIdCursor(tenantId) })
})
