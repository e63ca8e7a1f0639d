import type { CommandInput, ConversationId, MovedCursor, SessionId, TenantId, UserId } from '@sotto/protocol'
import type { Ctx } from '../../platform/context/context.ts'
import { createGroupCommit, held, type BatchVerdict, type Verdict } from '../../platform/db/group-commit.ts'
import type { LaneTx, Tx } from '../../platform/db/tx.ts'
import { checkGrant, type Grant } from '../../platform/grant/grant.ts'
import { problem, type Problem } from '../../platform/problem/problem.ts'
import type { KeptDecisions } from '../access/index.ts'
import type { AuditItem } from '../audit/index.ts'
import { BATCH_MAX, QUEUE_MAX } from './append.ts'
import type { AppendDeps } from './append-batch.ts'
import { findLiveMembers, lockMembers } from './conversation-store.ts'
import { countUnread } from './conversation.model.ts'
import { cursorMoved } from './conversations.topics.ts'
import { moveCursorRows, type MovedCursorRow } from './member-store.ts'

export interface CursorMover {
  move(
    ctx: Ctx,
    grant: Grant<'cursor.move', ConversationId>,
    to: { readonly deliveredSeq: number; readonly readSeq: number },
  ): Promise<MovedCursor>
  idle(): Promise<void>
}

/**
 * Moves the caller's cursor forward; moving it back changes nothing. Many members' moves share one transaction.
 *
 * @throws access/not-found 404 · conversations/cursor-ahead 409 (after-sync)
 * @effects member, audit `cursor.move` (with what was read), in one transaction
 */
export async function moveCursor(
  deps: { readonly kept: KeptDecisions; readonly cursorMover: CursorMover },
  ctx: Ctx,
  input: CommandInput<'cursor.move'>,
): Promise<MovedCursor> {
  const { grant } = await deps.kept.authorizeConversation(ctx, 'cursor.move', input.conversationId)
  return deps.cursorMover.move(ctx, grant, { deliveredSeq: input.deliveredSeq ?? 0, readSeq: input.readSeq ?? 0 })
}

interface Submitted {
  readonly ctx: Ctx
  readonly conversationId: ConversationId
  readonly userId: UserId
  readonly deliveredSeq: number
  readonly readSeq: number
}

interface Moved {
  readonly cursor: MovedCursor
  readonly moved: boolean
}

export function createCursorMover(deps: AppendDeps): CursorMover {
  const commits = createGroupCommit<Submitted, Moved>({
    db: deps.db,
    clock: deps.clock,
    batchMax: BATCH_MAX,
    queueMax: QUEUE_MAX,
    overloaded: () => problem('platform/unavailable'),
    run: (tx, items) => runBatch(deps, tx, items),
    committed: (items, verdicts) => publishBatch(deps, items, verdicts),
    onError: (error) => deps.log.warn('fan-out.failed', {}, error),
  })
  return {
    async move(ctx, grant, to) {
      checkGrant(grant, ctx, deps.clock.now())
      return (
        await commits.submit(grant.resourceId, { ctx, conversationId: grant.resourceId, userId: grant.userId, ...to })
      ).cursor
    },
    idle: () => commits.idle(),
  }
}

async function runBatch(
  deps: AppendDeps,
  tx: LaneTx,
  items: readonly Submitted[],
): Promise<readonly BatchVerdict<Moved>[]> {
  const verdicts = Array.from<BatchVerdict<Moved>>({ length: items.length })
  const tenants = Map.groupBy(items.keys(), (index) => items[index]!.ctx.tenantId)
  for (const [tenantId, indexes] of [...tenants].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    tx.enterTenant(tenantId)
    await moveGroup(deps, tx, tenantId, indexes, items, verdicts)
  }
  return verdicts
}

async function moveGroup(
  deps: AppendDeps,
  tx: Tx,
  tenantId: TenantId,
  indexes: readonly number[],
  items: readonly Submitted[],
  verdicts: BatchVerdict<Moved>[],
): Promise<void> {
  const group = indexes.map((index) => items[index]!)
  const sessionIds = [...new Set(group.map(({ ctx }) => ctx.sessionId))]
  const [sessions, locked] = await Promise.all([
    deps.findLiveSessions(tx, tenantId, sessionIds, deps.clock.now()),
    lockMembers(tx, tenantId, group),
  ])
  // What an ended session asks for moves nothing, also when another device of the same member asks in the same batch.
  const moving = group.filter((one) => sessions.has(one.ctx.sessionId) && locked.has(memberKey(one)))
  const missing = group.filter((one) => sessions.has(one.ctx.sessionId) && !locked.has(memberKey(one)))
  const [rows, others] = await Promise.all([
    moveCursorRows(tx, tenantId, moving),
    missing.length === 0 ? new Set<string>() : findLiveMembers(tx, tenantId, missing),
  ])
  const stands = new Map(rows.map((row) => [`${row.conversation_id}/${row.user_id}`, row]))
  const audit: AuditItem[] = []
  for (const index of indexes) {
    const submitted = items[index]!
    const key = memberKey(submitted)
    if (sessions.has(submitted.ctx.sessionId) && others.has(key)) {
      verdicts[index] = held
      continue
    }
    const verdict = judge(submitted, sessions, stands.get(key))
    verdicts[index] = verdict
    audit.push(auditOf(submitted, verdict, stands.get(key)))
  }
  if (audit.length > 0) await deps.recordAuditItems(tx, tenantId, audit)
}

function memberKey({ conversationId, userId }: Submitted): string {
  return `${conversationId}/${userId}`
}

function judge(
  submitted: Submitted,
  sessions: ReadonlyMap<SessionId, unknown>,
  row: MovedCursorRow | undefined,
): Verdict<Moved> {
  if (!sessions.has(submitted.ctx.sessionId)) return { refusal: problem('identity/session-ended', { recorded: true }) }
  if (row === undefined) return { refusal: problem('access/not-found', { recorded: true, trueReason: 'not-a-member' }) }
  if (Math.max(submitted.deliveredSeq, submitted.readSeq) > row.last_seq)
    return { refusal: problem('conversations/cursor-ahead', { recorded: true }) }
  const unread = countUnread(row.last_countable, {
    readCountable: row.read_countable,
    sentCountable: row.sent_countable,
    readSentCountable: row.read_sent_countable,
  })
  const cursor = {
    userId: submitted.userId,
    deliveredSeq: row.delivered_seq,
    readSeq: row.read_seq,
    unread,
    asOfSeq: row.last_seq,
  }
  return { answer: { cursor, moved: row.moved } }
}

function auditOf(
  { ctx, conversationId, deliveredSeq, readSeq }: Submitted,
  verdict: Verdict<Moved>,
  row: MovedCursorRow | undefined,
): AuditItem {
  const record = {
    action: 'cursor.move' as const,
    resource: { type: 'conversation', id: conversationId },
    subjectUserId: row?.subject_user_id ?? null,
    details: { deliveredSeq, readSeq },
  }
  return {
    ctx,
    record:
      'refusal' in verdict ? { ...record, outcome: 'refused', code: (verdict.refusal as Problem).trueReason } : record,
  }
}

function publishBatch(deps: AppendDeps, items: readonly Submitted[], verdicts: readonly Verdict<Moved>[]): void {
  verdicts.forEach((verdict, index) => {
    if ('refusal' in verdict || !verdict.answer.moved) return
    const { ctx, conversationId } = items[index]!
    deps.bus.publish(cursorMoved, { tenantId: ctx.tenantId, conversationId, cursor: verdict.answer.cursor })
  })
}
