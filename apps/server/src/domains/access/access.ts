import type { ConversationId, TenantId, UserId } from '@sotto/protocol'
import type { Ctx } from '../../platform/context/context.ts'
import type { Tx } from '../../platform/db/tx.ts'
import type { Action, Grant, ListGrant } from '../../platform/grant/grant.ts'
import { problem } from '../../platform/problem/problem.ts'
import { instant, type Clock } from '../../platform/time/clock.ts'
import type { FactSources, MembershipFacts, SessionFacts } from './facts.model.ts'
import {
  conversationActions,
  directoryActions,
  POLICY_VERSION,
  tenantActions,
  type ConversationAction,
  type DirectoryAction,
  type TenantAction,
} from './policy.model.ts'

/** How long a decision may be kept, e.g. for the next messages of a conversation. The appender re-checks what may change. */
export const GRANT_LIFE_MS = 30_000

export interface AccessDeps {
  readonly clock: Clock
  readonly facts: FactSources
}

/** A decision on a conversation, with the facts it rests on, so that nobody asks the database twice. */
export interface ConversationDecision<A extends ConversationAction> {
  readonly grant: Grant<A, ConversationId>
  readonly session: SessionFacts
  readonly membership: MembershipFacts
}

/**
 * The only way to a grant. Each decision re-reads session, device, user and membership inside the caller's transaction.
 *
 * @throws identity/session-ended 401 · access/not-found 404 (not a member; the audit trail keeps why) · access/denied 403
 * @control 45 CFR 164.312(a)(1), 164.308(a)(4)(ii)(B)
 */
export function createAccess(deps: AccessDeps) {
  return {
    /** On the tenant, or on the caller's own things. */
    async authorize<A extends TenantAction>(tx: Tx, ctx: Ctx, action: A): Promise<Grant<A, TenantId>> {
      const session = await deps.facts.getSessionFacts(tx, ctx)
      if (!(tenantActions[action] as readonly string[]).includes(session.role)) throw problem('access/denied')
      return mint(deps, ctx, action, ctx.tenantId)
    },

    /** On users: which of them the caller may see. */
    async authorizeDirectory<A extends DirectoryAction>(tx: Tx, ctx: Ctx, action: A): Promise<ListGrant<A>> {
      const session = await deps.facts.getSessionFacts(tx, ctx)
      const seesAll = (directoryActions[action] as readonly string[]).includes(session.role)
      const users: ListGrant<A>['users'] = seesAll
        ? 'all'
        : [ctx.userId, ...(await deps.facts.listFellowMemberIds(tx, ctx))]
      return { ...mint(deps, ctx, action, ctx.userId), users } as unknown as ListGrant<A>
    },

    /** On one conversation, as a member of it. */
    async authorizeConversation<A extends ConversationAction>(
      tx: Tx,
      ctx: Ctx,
      action: A,
      conversationId: ConversationId,
    ): Promise<ConversationDecision<A>> {
      const [session, membership] = await Promise.all([
        deps.facts.getSessionFacts(tx, ctx),
        deps.facts.findMembershipFacts(tx, ctx, conversationId),
      ])
      if (membership === undefined) throw problem('access/not-found', { trueReason: 'no-such-conversation' })
      const { subjectUserId } = membership
      if (membership.memberRole === undefined)
        throw problem('access/not-found', { trueReason: 'not-a-member', subjectUserId })
      if (!conversationActions[action](session, membership)) throw refusal(action, membership)
      return { grant: mint(deps, ctx, action, conversationId), session, membership }
    },

    /** The caller's session as it stands now. @throws identity/session-ended 401 */
    getSession: (tx: Tx, ctx: Ctx): Promise<SessionFacts> => deps.facts.getSessionFacts(tx, ctx),
  }
}

export type Access = ReturnType<typeof createAccess>

function refusal(action: ConversationAction, membership: MembershipFacts) {
  const { closed, subjectUserId } = membership
  const needsOpen: readonly ConversationAction[] = ['member.add', 'typing.signal']
  return problem(closed && needsOpen.includes(action) ? 'conversations/closed' : 'access/denied', { subjectUserId })
}

function mint<A extends Action, R extends string>(
  deps: AccessDeps,
  ctx: { readonly userId: UserId },
  action: A,
  resourceId: R,
): Grant<A, R> {
  const expiresAt = instant(deps.clock.now() + GRANT_LIFE_MS)
  return { action, resourceId, userId: ctx.userId, policyVersion: POLICY_VERSION, expiresAt } as Grant<A, R>
}
