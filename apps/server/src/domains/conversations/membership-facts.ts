import type { FactSources } from '../access/index.ts'
import { findMembershipRow } from './conversation-store.ts'
import { listFellowMemberIds } from './member-store.ts'

/** What the access room asks this one: how a caller stands to a conversation, and with whom one shares any. */
export function createMembershipFacts(): Pick<FactSources, 'findMembershipFacts' | 'listFellowMemberIds'> {
  return {
    async findMembershipFacts(tx, ctx, conversationId) {
      const row = await findMembershipRow(tx, ctx.tenantId, conversationId, ctx.userId)
      if (row === undefined) return undefined
      return {
        conversationId,
        memberRole: row.member_role ?? undefined,
        closed: row.closed,
        kind: row.kind,
        subjectUserId: row.subject_user_id,
        firstVisibleSeq: row.first_visible_seq ?? undefined,
        lastSeq: row.last_seq,
        keyEpoch: row.key_epoch,
        memberCount: row.member_count,
      }
    },
    listFellowMemberIds: (tx, ctx) => listFellowMemberIds(tx, ctx.tenantId, ctx.userId),
  }
}
