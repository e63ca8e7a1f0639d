import type { ConversationId, SessionId } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { createBoundedMap } from '../../platform/crypto/bounded-map.ts'
import type { Db } from '../../platform/db/tx.ts'
import type { Clock } from '../../platform/time/clock.ts'
import type { Access, ConversationDecision } from './access.ts'
import type { ConversationAction } from './policy.model.ts'

const KEPT_MAX = 50_000
/** A grant that is handed out has at least so long left: nobody who uses it at once comes too late. */
const USE_MS_MAX = 5_000
/** For so long what the database said stands for acts that nothing checks again. */
const LATELY_MS = 1_000

/**
 * Decisions kept for as long as their grants live, per session, conversation and action, so that a conversation's next
 * message asks the database nothing before it is appended. Whoever uses one checks session and membership again where the
 * act is made durable; `forget…` drops what a change may have overtaken at once.
 */
export interface KeptDecisions {
  authorizeConversation<A extends ConversationAction>(
    ctx: Ctx,
    action: A,
    conversationId: ConversationId,
  ): Promise<ConversationDecision<A>>
  /**
   * The same as the database had it within the last second, for acts that are made durable nowhere: they come many times a
   * minute, and reading once a second is all that they cost.
   */
  checkConversation(ctx: Ctx, action: ConversationAction, conversationId: ConversationId): Promise<void>
  /** That the caller's session lives, within the last second. @throws identity/session-ended 401 */
  checkSession(ctx: Ctx): Promise<void>
  forgetConversation(conversationId: ConversationId): void
  forgetSessions(sessionIds: readonly SessionId[]): void
}

interface Check {
  readonly sessionId: SessionId
  readonly conversationId: ConversationId | null
  readonly atMs: number
  readonly answer: Promise<void>
}

export function createKeptDecisions(deps: {
  readonly db: Db
  readonly access: Access
  readonly clock: Clock
}): KeptDecisions {
  const kept = createBoundedMap<ConversationDecision<ConversationAction>>(KEPT_MAX)
  const lately = createBoundedMap<Check>(KEPT_MAX)

  /** What fails is asked anew by whoever comes next. */
  function check(key: string, of: Omit<Check, 'atMs' | 'answer'>, ask: () => Promise<unknown>): Promise<void> {
    const atMs = deps.clock.monotonicMs()
    const known = lately.get(key)
    if (known !== undefined && atMs - known.atMs < LATELY_MS) return known.answer
    const answer = ask().then(() => {})
    lately.set(key, { ...of, atMs, answer })
    answer.catch(() => lately.get(key)?.answer === answer && lately.delete(key))
    return answer
  }

  /** A decision that was being made while something was forgotten may rest on what is no longer so: it is used, not kept. */
  let forgets = 0
  return {
    async authorizeConversation(ctx, action, conversationId) {
      const key = `${ctx.sessionId}/${conversationId}/${action}`
      const known = kept.get(key) as ConversationDecision<typeof action> | undefined
      if (known && deps.clock.now() + USE_MS_MAX < known.grant.expiresAt) return known
      const forgetsBefore = forgets
      const decision = await deps.db.withTx(scopeOf(ctx), (tx) =>
        deps.access.authorizeConversation(tx, ctx, action, conversationId),
      )
      if (forgets === forgetsBefore) kept.set(key, decision)
      return decision
    },
    checkConversation(ctx, action, conversationId) {
      const { sessionId } = ctx
      return check(`${sessionId}/${conversationId}/${action}`, { sessionId, conversationId }, () =>
        deps.db.withTx(scopeOf(ctx), (tx) => deps.access.authorizeConversation(tx, ctx, action, conversationId)),
      )
    },
    checkSession(ctx) {
      const { sessionId } = ctx
      return check(sessionId, { sessionId, conversationId: null }, () =>
        deps.db.withTx(scopeOf(ctx), (tx) => deps.access.getSession(tx, ctx)),
      )
    },
    forgetConversation(conversationId) {
      forgets++
      lately.deleteWhere((one) => one.conversationId === conversationId)
      kept.deleteWhere((decision) => decision.membership.conversationId === conversationId)
    },
    forgetSessions(sessionIds) {
      forgets++
      lately.deleteWhere((one) => sessionIds.includes(one.sessionId))
      kept.deleteWhere((decision) => sessionIds.includes(decision.session.sessionId))
    },
  }
}
