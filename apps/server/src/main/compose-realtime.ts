import type { Rooms } from './compose-rooms.ts'
import type { ConversationId, TenantId, UserId } from '@sotto/protocol'
import {
  awaitConversation,
  conversationChanged,
  conversationDoubted,
  cursorMoved,
  entryAppended,
  listAudience,
  membershipChanged,
  renderEntry,
} from '../domains/conversations/index.ts'
import { sessionActive, sessionEnded } from '../domains/identity/index.ts'
import { findVisibleUsers, presenceChanged, typingSignalled } from '../domains/presence/index.ts'
import { createAudiences } from '../edges/realtime/audiences.ts'
import { createDelivering } from '../edges/realtime/delivering.ts'
import { createEndings } from '../edges/realtime/endings.ts'
import { createFanOut, type FanOut } from '../edges/realtime/fan-out.ts'
import { createRegistry } from '../edges/realtime/registry.ts'
import { createSessionWatch } from '../edges/realtime/session-watch.ts'
import { scopeOf, type Ctx } from '../platform/context/context.ts'

/** The realtime edge's own parts, listening to what the rooms tell. */
export function composeRealtime(rooms: Rooms) {
  const { bus, clock, db, identity, limits, log, deliveries, presenceDeps } = rooms
  const registry = createRegistry()
  const audiences = createAudiences((tenantId, conversationId, isInDoubt) =>
    db.withTx(scopeOf({ tenantId }), async (tx) => {
      if (isInDoubt) await awaitConversation(tx, tenantId, conversationId)
      return listAudience(tx, tenantId, conversationId)
    }),
  )
  const endings = createEndings(log)
  const delivering = createDelivering({ records: deliveries, endings, log })
  const findVisible = (ctx: Ctx, userIds: readonly UserId[]) => findVisibleUsers(presenceDeps, ctx, userIds)
  const fanOut = createFanOut({ registry, audiences, delivering, log, findVisible })
  subscribeFanOut(rooms, fanOut)
  const sessionWatch = createSessionWatch({
    registry,
    clock,
    limits,
    findSessionEnds: (tenantId, sessionIds) =>
      db.withTx(scopeOf({ tenantId }), (tx) => identity.findSessionEnds(tx, tenantId, sessionIds)),
    onOver: (sessionIds) => fanOut.sessionsEnded(sessionIds, 'expired'),
  })
  bus.subscribe(sessionActive, ({ sessionId, idleAt }) => sessionWatch.acted(sessionId, idleAt))
  return { registry, delivering, endings, fanOut, sessionWatch }
}

function subscribeFanOut({ bus, db, sealer, keys, kept }: Rooms, fanOut: FanOut): void {
  const open = (tenantId: TenantId, entry: Parameters<typeof renderEntry>[3]) =>
    renderEntry({ sealer, keys }, (read) => db.withTx(scopeOf({ tenantId }), read), tenantId, entry)
  bus.subscribe(entryAppended, ({ tenantId, entry }) =>
    fanOut.entryAppended(tenantId, {
      conversationId: entry.conversationId,
      seq: entry.seq,
      isMembership: entry.kind === 'membership',
      open: () => open(tenantId, entry),
    }),
  )
  bus.subscribe(cursorMoved, ({ tenantId, conversationId, cursor }) =>
    fanOut.cursorMoved(tenantId, conversationId, cursor),
  )
  bus.subscribe(typingSignalled, ({ tenantId, conversationId, userId, typing }) =>
    fanOut.typingSignalled(tenantId, conversationId as ConversationId, userId, typing),
  )
  bus.subscribe(presenceChanged, ({ tenantId, presence }) => fanOut.presenceChanged(tenantId, presence))
  bus.subscribe(conversationChanged, ({ tenantId, conversationId }) => {
    kept.forgetConversation(conversationId)
    fanOut.conversationChanged(tenantId, conversationId)
  })
  bus.subscribe(conversationDoubted, ({ tenantId, conversationId }) => {
    kept.forgetConversation(conversationId)
    fanOut.conversationDoubted(tenantId, conversationId)
  })
  bus.subscribe(membershipChanged, ({ tenantId, conversationId, joined, left }) => {
    kept.forgetConversation(conversationId)
    fanOut.membershipChanged(tenantId, conversationId, joined, left)
  })
  bus.subscribe(sessionEnded, ({ sessionIds, reason }) => {
    kept.forgetSessions(sessionIds)
    fanOut.sessionsEnded(sessionIds, reason)
  })
}
