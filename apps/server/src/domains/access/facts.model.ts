import type { ConversationId, MemberRole, Role, SessionId, UserId } from '@sotto/protocol'
import type { Ctx } from '../../platform/context/context.ts'
import type { Tx } from '../../platform/db/tx.ts'

/** What the policy looks at. The rooms that own the tables bring the facts; `main/compose.ts` joins them. */
export interface SessionFacts {
  readonly sessionId: SessionId
  readonly userId: UserId
  /** The role as the database has it now, not as the token once said. */
  readonly role: Role
}

export interface MembershipFacts {
  readonly conversationId: ConversationId
  /** The caller's own; undefined when not a member now. */
  readonly memberRole: MemberRole | undefined
  readonly closed: boolean
  readonly kind: 'direct' | 'group'
  readonly subjectUserId: UserId | null
  /** The oldest position the caller may read; undefined when not a member now. */
  readonly firstVisibleSeq: number | undefined
  readonly lastSeq: number
  readonly keyEpoch: number
  readonly memberCount: number
}

export interface FactSources {
  /** @throws identity/session-ended when session, device or user is revoked, idle or expired */
  getSessionFacts(tx: Tx, ctx: Ctx): Promise<SessionFacts>
  /** @returns undefined when the conversation does not exist in the tenant */
  findMembershipFacts(tx: Tx, ctx: Ctx, conversationId: ConversationId): Promise<MembershipFacts | undefined>
  /** Everyone with whom the caller shares a conversation now, the caller included. */
  listFellowMemberIds(tx: Tx, ctx: Ctx): Promise<readonly UserId[]>
}
