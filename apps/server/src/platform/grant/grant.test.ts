import type { ConversationId, UserId } from '@sotto/protocol'
import { expect, test } from 'vitest'
import { instant } from '../time/clock.ts'
import { checkGrant, type Grant } from './grant.ts'

const grant = {
  action: 'message.send',
  resourceId: 'c' as ConversationId,
  userId: 'alice' as UserId,
  policyVersion: 1,
  expiresAt: instant(1_000),
} as Grant<'message.send', ConversationId>

test('a grant counts for whom it was given to, and as long as it says', () => {
  expect(() => checkGrant(grant, { userId: grant.userId }, instant(999))).not.toThrow()
  expect(() => checkGrant(grant, { userId: 'mallory' as UserId }, instant(0))).toThrow('by whom it was given to')
  expect(() => checkGrant(grant, { userId: grant.userId }, instant(1_000))).toThrow(
    expect.objectContaining({ code: 'platform/unavailable', trueReason: 'grant-expired' }),
  )
})
