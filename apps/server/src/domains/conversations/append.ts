import type { ConversationId, Sent, TenantId } from '@sotto/protocol'
import type { Ctx } from '../../platform/context/context.ts'
import { createGroupCommit, RowHeld, type GroupCommit, type Verdict } from '../../platform/db/group-commit.ts'
import { DatabaseUnavailable } from '../../platform/db/errors.ts'
import type { Tx } from '../../platform/db/tx.ts'
import { checkGrant, type Grant } from '../../platform/grant/grant.ts'
import { problem } from '../../platform/problem/problem.ts'
import {
  appendBatch,
  placeEntry,
  type Accepted,
  type AppendDeps,
  type AppendItem,
  type Submitted,
} from './append-batch.ts'
import { nextPlace, type LogEnd, type NewEntry, type StoredEntry } from './conversation.model.ts'
import { conversationChanged, conversationDoubted, entryAppended } from './conversations.topics.ts'
import { findConversationIds, insertEntries, lockConversationLogs } from './log-store.ts'
import { encodePayload, findReadableKey, sealBody } from './render-entry.ts'

/** How many sends one transaction carries at most, and how many may wait in a lane before callers are told to come back. */
export const BATCH_MAX = 512
export const QUEUE_MAX = 20_000
/** What the bodies of those that wait in a lane may take up in memory. */
const QUEUE_BYTES_MAX = 32 * 1_024 * 1_024
/** What an item takes up beside its body, roughly. */
const ITEM_BYTES = 1_024

/**
 * The appender: the only way into a conversation's log.
 *
 * Durability: resolves after the commit. Consistency: session, idempotency, membership and closure are checked inside the
 * transaction, in this order. Concurrency: callers share transactions and never wait for one another's checks; two nodes
 * may append to one conversation, its row lock puts them in order. Nobody waits for a lock: who meets a row that another
 * transaction holds is tried again later, in order with what follows in its conversation, and the others go on. Retries:
 * a caller repeats with the same entryId.
 */
export interface Appender {
  append(ctx: Ctx, grant: Grant<'message.send', ConversationId>, item: AppendItem): Promise<Sent>
  /**
   * Changes a conversation itself: `change` runs alone in its lane, in order with the sends, and may append entries that
   * announce the change. Its lock on the log is held from the start.
   */
  change<T>(ctx: Ctx, conversationId: ConversationId, change: (tx: Tx, log: OpenLog) => Promise<T>): Promise<T>
  idle(): Promise<void>
}

/** A locked log inside `change`. */
export interface OpenLog {
  /** undefined: there is no such conversation (yet). */
  readonly end: LogEnd | undefined
  append(end: LogEnd, entry: NewEntry): Promise<StoredEntry>
}

export function createAppender(deps: AppendDeps): Appender {
  const commits: GroupCommit<Submitted, Accepted> = createGroupCommit<Submitted, Accepted>({
    db: deps.db,
    clock: deps.clock,
    batchMax: BATCH_MAX,
    queueMax: QUEUE_MAX,
    queueBytesMax: QUEUE_BYTES_MAX,
    bytesOf: ({ item }) => ITEM_BYTES + item.sealed.body.byteLength,
    overloaded: () => problem('platform/unavailable'),
    run: (tx, items) => appendBatch(deps, tx, items),
    committed: (items, verdicts) => publishBatch(deps, items, verdicts),
    onSplit: (size, error) => deps.log.warn('batch.split', { count: size }, error),
    onError: (error) => deps.log.warn('fan-out.failed', {}, error),
  })
  return {
    async append(ctx, grant, item) {
      checkGrant(grant, ctx, deps.clock.now())
      const { deviceId } = ctx
      const submitted = { ctx, conversationId: grant.resourceId, deviceId, entryId: item.entryId, item }
      const accepted = await doubting(deps, ctx, grant.resourceId, commits.submit(grant.resourceId, submitted))
      return accepted.sent
    },
    async change(ctx, conversationId, change) {
      let appended: StoredEntry[] = []
      const changing = commits.alone(
        conversationId,
        async (tx) => {
          appended = []
          tx.enterTenant(ctx.tenantId)
          const end = await lockLog(tx, ctx.tenantId, conversationId)
          return change(tx, { end, append: (at, entry) => appendAlone(deps, tx, ctx, at, entry, appended) })
        },
        () => appended.forEach((entry) => deps.bus.publish(entryAppended, { tenantId: ctx.tenantId, entry })),
      )
      return doubting(deps, ctx, conversationId, changing)
    },
    idle: () => commits.idle(),
  }
}

/** Who delivers is told also when nobody knows whether there is something to deliver, or still somebody to deliver to. */
async function doubting<T>(deps: AppendDeps, ctx: Ctx, conversationId: ConversationId, act: Promise<T>): Promise<T> {
  try {
    return await act
  } catch (error) {
    if (error instanceof DatabaseUnavailable && error.outcome === 'unknown')
      deps.bus.publish(conversationDoubted, { tenantId: ctx.tenantId, conversationId })
    throw error
  }
}

/** @returns undefined when there is no such conversation @throws RowHeld */
async function lockLog(tx: Tx, tenantId: TenantId, conversationId: ConversationId): Promise<LogEnd | undefined> {
  const [ends, there] = await Promise.all([
    lockConversationLogs(tx, tenantId, [conversationId]),
    findConversationIds(tx, tenantId, [conversationId]),
  ])
  const end = ends.get(conversationId)
  if (end === undefined && there.has(conversationId)) throw new RowHeld()
  return end
}

async function appendAlone(
  deps: AppendDeps,
  tx: Tx,
  ctx: Ctx,
  end: LogEnd,
  entry: NewEntry,
  appended: StoredEntry[],
): Promise<StoredEntry> {
  // Of an erased patient's conversation the log goes on, with the places of what can no longer be said.
  const key = await findReadableKey(deps, tx, ctx.tenantId, end.conversationId, end.keyEpoch)
  const placeOfBody = { ...end, tenantId: ctx.tenantId, entryId: entry.entryId }
  const body = key === undefined ? null : sealBody(deps.sealer, key, placeOfBody, encodePayload(entry.payload))
  const last = appended.at(-1)
  const place = nextPlace(last ? { lastSeq: last.seq, lastCountable: last.countable } : end, entry.header.counts)
  const stored = placeEntry(ctx, end.conversationId, entry, place, body, deps.clock.now())
  insertEntries(tx, ctx.tenantId, [{ ...stored, bodyHash: null }])
  appended.push(stored)
  return stored
}

/** A repeat means that an answer was lost, and the hint may have been lost with it: the members are told to look. */
function publishBatch(deps: AppendDeps, items: readonly Submitted[], verdicts: readonly Verdict<Accepted>[]): void {
  verdicts.forEach((verdict, index) => {
    if ('refusal' in verdict) return
    const { ctx, conversationId } = items[index]!
    const { stored } = verdict.answer
    if (stored) deps.bus.publish(entryAppended, { tenantId: ctx.tenantId, entry: stored })
    else deps.bus.publish(conversationChanged, { tenantId: ctx.tenantId, conversationId })
  })
}
