import type { ConversationId, Entry, Frame, MovedCursor, Presence, SessionId, TenantId, UserId } from '@sotto/protocol'
import { limitDefaults } from '@sotto/protocol'
import type { Log } from '../../platform/log/log.ts'
import type { Audience, Audiences } from './audiences.ts'
import { send, type Connection } from './connection.ts'
import type { Delivering } from './delivering.ts'
import type { Registry } from './registry.ts'

/** What the rooms tell: `main/compose.ts` subscribes these to their topics. */
export interface FanOut {
  entryAppended(tenantId: TenantId, entry: AppendedEntry): void
  cursorMoved(tenantId: TenantId, conversationId: ConversationId, cursor: MovedCursor): void
  typingSignalled(tenantId: TenantId, conversationId: ConversationId, userId: UserId, typing: boolean): void
  presenceChanged(tenantId: TenantId, presence: Presence): void
  conversationChanged(tenantId: TenantId, conversationId: ConversationId): void
  membershipChanged(
    tenantId: TenantId,
    conversationId: ConversationId,
    joined: readonly UserId[],
    left: readonly UserId[],
  ): void
  sessionsEnded(sessionIds: readonly SessionId[], reason: string): void
}

/** An entry at rest, with how to open it: it is opened once for all sockets, and only when there is one to receive it. */
export interface AppendedEntry {
  readonly conversationId: ConversationId
  readonly seq: number
  readonly isMembership: boolean
  open(): Promise<Entry>
}

export interface FanOutDeps {
  readonly registry: Registry
  readonly audiences: Audiences
  readonly delivering: Delivering
  readonly log: Log
}

/**
 * One serialisation for each entry, many sockets. The entries of a conversation go out in order: each waits for the one
 * before it, and a membership entry renews the audience before what follows is delivered.
 */
export function createFanOut(deps: FanOutDeps): FanOut {
  const { registry, audiences, delivering } = deps
  const queues = new Map<ConversationId, Promise<void>>()

  /** Runs in order with everything else of the conversation. A lost frame is repaired by the client: it sees the gap. */
  function inOrder(conversationId: ConversationId, fn: () => Promise<void>): void {
    const before = queues.get(conversationId) ?? Promise.resolve()
    const after = before.then(fn).catch((error: unknown) => deps.log.warn('fan-out.failed', {}, error))
    queues.set(conversationId, after)
    void after.then(() => queues.get(conversationId) === after && queues.delete(conversationId))
  }

  async function audienceOf(tenantId: TenantId, conversationId: ConversationId): Promise<Audience> {
    return audiences.known(conversationId) ?? audiences.load(tenantId, conversationId)
  }

  function broadcast(
    tenantId: TenantId,
    conversationId: ConversationId,
    frame: Frame,
    options: { readonly except?: UserId; readonly own?: Frame } = {},
  ): void {
    if (registry.size === 0) return
    inOrder(conversationId, async () => {
      const text = JSON.stringify(frame)
      const ownText = options.own === undefined ? text : JSON.stringify(options.own)
      for (const userId of (await audienceOf(tenantId, conversationId)).keys()) {
        const isOwn = userId === options.except
        if (isOwn && options.own === undefined) continue
        for (const connection of registry.ofUser(tenantId, userId))
          if (connection.isLive) connection.outgoing.send(isOwn ? ownText : text)
      }
    })
  }

  async function deliverEntry(tenantId: TenantId, entry: AppendedEntry): Promise<void> {
    const { conversationId, seq } = entry
    if (entry.isMembership) audiences.forget(conversationId)
    const audience = await audienceOf(tenantId, conversationId)
    const receivers: Connection[] = []
    for (const [userId, firstVisibleSeq] of audience) {
      if (seq < firstVisibleSeq) continue
      for (const connection of registry.ofUser(tenantId, userId)) if (connection.isLive) receivers.push(connection)
    }
    if (receivers.length === 0) return
    const frame = JSON.stringify({ op: 'entry', entry: await entry.open() } satisfies Frame)
    for (const connection of receivers) delivering.deliver(connection, conversationId, seq, frame)
  }

  return {
    entryAppended(tenantId, entry) {
      if (registry.size > 0) inOrder(entry.conversationId, () => deliverEntry(tenantId, entry))
      else if (entry.isMembership) audiences.forget(entry.conversationId)
    },
    cursorMoved(tenantId, conversationId, { unread, asOfSeq, ...cursor }) {
      const own: Frame = { op: 'cursor', conversationId, cursor, unread, asOfSeq }
      inOrder(conversationId, async () => {
        const { size } = await audienceOf(tenantId, conversationId)
        if (size <= limitDefaults.receiptMembersMax)
          return broadcast(
            tenantId,
            conversationId,
            { op: 'cursor', conversationId, cursor },
            { except: cursor.userId, own },
          )
        for (const connection of registry.ofUser(tenantId, cursor.userId)) if (connection.isLive) send(connection, own)
      })
    },
    typingSignalled(tenantId, conversationId, userId, typing) {
      broadcast(tenantId, conversationId, { op: 'typing', conversationId, userId, typing }, { except: userId })
    },
    presenceChanged(tenantId, presence) {
      for (const connection of registry.watchersOf(tenantId, presence.userId))
        send(connection, { op: 'presence', presence })
    },
    conversationChanged(tenantId, conversationId) {
      broadcast(tenantId, conversationId, { op: 'conversation', conversationId })
    },
    membershipChanged(tenantId, conversationId, _joined, left) {
      audiences.forget(conversationId)
      for (const userId of left) {
        for (const connection of registry.ofUser(tenantId, userId)) {
          delivering.end(connection, conversationId)
          send(connection, { op: 'capabilities', conversationId, can: [] })
        }
      }
      broadcast(tenantId, conversationId, { op: 'conversation', conversationId })
    },
    sessionsEnded(sessionIds, reason) {
      for (const sessionId of sessionIds) {
        for (const connection of registry.ofSession(sessionId)) {
          send(connection, { op: 'session', state: 'ended', reason })
          // One turn of the event loop lets the frame go out before the close.
          setImmediate(() => connection.close(4401))
        }
      }
    },
  }
}
