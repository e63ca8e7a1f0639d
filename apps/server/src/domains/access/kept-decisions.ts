import type { ConversationId, SessionId } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { createBoundedMap } from '../../platform/crypto/bounded-map.ts'
import type { Db } from '../../platform/db/tx.ts'
import type { Clock } from '../../platform/time/clock.ts'
import type { Access, ConversationDecision } from './access.ts'
import type { ConversationAction } from './policy.model.ts'

const KEPT_MAX = 50_000

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
  forgetConversation(conversationId: ConversationId): void
  forgetSessions(sessionIds: readonly SessionId[]): void
}

export function createKeptDecisions(deps: {
  readonly db: Db
  readonly access: Access
  readonly clock: Clock
}): KeptDecisions {
  const kept = createBoundedMap<ConversationDecision<ConversationAction>>(KEPT_MAX)
  /** A decision that was being made while something was forgotten may rest on what is no longer so: it is used, not kept. */
  let forgets = 0
  return {
    async authorizeConversation(ctx, action, conversationId) {
      const key = `${ctx.sessionId}/${conversationId}/${action}`
      const known = kept.get(key) as ConversationDecision<typeof action> | undefined
      if (known && deps.clock.now() < known.grant.expiresAt) return known
      const forgetsBefore = forgets
      const decision = await deps.db.withTx(scopeOf(ctx), (tx) =>
        deps.access.authorizeConversation(tx, ctx, action, conversationId),
      )
      if (forgets === forgetsBefore) kept.set(key, decision)
      return decision
    },
    forgetConversation(conversationId) {
      forgets++
      kept.deleteWhere((decision) => decision.membership.conversationId === conversationId)
    },
    forgetSessions(sessionIds) {
      forgets++
      kept.deleteWhere((decision) => sessionIds.includes(decision.session.sessionId))
    },
  }
}
