import type { ConversationId, SessionId, TenantId, UserId } from '@sotto/protocol'
import { expect, test } from 'vitest'
import type { Ctx } from '../../platform/context/context.ts'
import { DatabaseUnavailable } from '../../platform/db/errors.ts'
import type { Db } from '../../platform/db/tx.ts'
import { createRefusals, REFUSALS_SINGLE_MAX } from './refusals.ts'

const ctx = { tenantId: 't' as TenantId, sessionId: 's' as SessionId, userId: 'u' as UserId, address: null } as Ctx
const refusal = { action: 'entry.list', code: 'not-a-member' } as const

/** Transactions end when the test says so, and how. */
function startRefusals() {
  const waiting: PromiseWithResolvers<void>[] = []
  const db = {
    withTx() {
      const gate = Promise.withResolvers<void>()
      waiting.push(gate)
      return gate.promise
    },
  } as unknown as Db
  const clock = { now: () => 0, monotonicMs: () => 0 }
  const refusals = createRefusals({ db, clock } as unknown as Parameters<typeof createRefusals>[0])
  const outcomes: string[] = []
  return {
    waiting,
    outcomes,
    refuse: () =>
      refusals.record(ctx, { ...refusal, resource: { type: 'conversation', id: 'c' as ConversationId } }).then(
        () => void outcomes.push('told'),
        (error: Error) => void outcomes.push(error.name),
      ),
  }
}

const someTurns = () => new Promise((resolve) => setImmediate(resolve))

test('a refusal is only counted when those that were recorded before it are durable', async () => {
  const { waiting, outcomes, refuse } = startRefusals()
  const all = Array.from({ length: REFUSALS_SINGLE_MAX + 3 }, refuse)
  await someTurns()
  expect([waiting.length, outcomes]).toEqual([REFUSALS_SINGLE_MAX, []])
  for (const one of waiting.slice(0, -1)) one.resolve()
  await someTurns()
  expect(outcomes).toHaveLength(REFUSALS_SINGLE_MAX - 1)
  waiting.at(-1)!.resolve()
  await Promise.all(all)
  expect(outcomes).toEqual(all.map(() => 'told'))
  expect(waiting).toHaveLength(REFUSALS_SINGLE_MAX)
})

test('when they cannot be recorded, nobody behind them is told of the refusal either', async () => {
  const { waiting, outcomes, refuse } = startRefusals()
  const all = Array.from({ length: REFUSALS_SINGLE_MAX + 3 }, refuse)
  await someTurns()
  for (const one of waiting) one.reject(new DatabaseUnavailable('not-applied', 'closed'))
  await Promise.all(all)
  expect(outcomes).toEqual(all.map(() => 'DatabaseUnavailable'))
  // The next one is recorded like a first one.
  const next = refuse()
  await someTurns()
  expect(waiting).toHaveLength(REFUSALS_SINGLE_MAX + 1)
  waiting.at(-1)!.resolve()
  await next
  expect(outcomes.at(-1)).toBe('told')
})
