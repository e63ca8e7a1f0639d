import { setTimeout as delay } from 'node:timers/promises'
import {
  limitDefaults,
  type ConversationId,
  type Entry,
  type Frame,
  type MovedCursor,
  type Presence,
  type SessionId,
  type TenantId,
  type UserId,
} from '@sotto/protocol'
import type { Ctx } from '../../platform/context/context.ts'
import { createBoundedMap } from '../../platform/crypto/bounded-map.ts'
import type { Log } from '../../platform/log/log.ts'
import { Problem } from '../../platform/problem/problem.ts'
import { logTampering } from '../gate/gate.ts'
import type { Audience, Audiences } from './audiences.ts'
import { send, type Connection } from './connection.ts'
import type { Delivering, DueFrame } from './delivering.ts'
import { encodeFrame, type EncodedFrame } from './outgoing.ts'
import type { Registry } from './registry.ts'
import { createTurns } from './turns.ts'

/** What the rooms tell: `main/compose.ts` subscribes these to their topics. */
export interface FanOut {
  entryAppended(tenantId: TenantId, entry: AppendedEntry): void
  cursorMoved(tenantId: TenantId, conversationId: ConversationId, cursor: MovedCursor): void
  typingSignalled(tenantId: TenantId, conversationId: ConversationId, userId: UserId, typing: boolean): void
  presenceChanged(tenantId: TenantId, presence: Presence): void
  conversationChanged(tenantId: TenantId, conversationId: ConversationId): void
  /** Something may have happened to it: finds out, and tells who is a member now and who no longer is. */
  conversationDoubted(tenantId: TenantId, conversationId: ConversationId): void
  membershipChanged(
    tenantId: TenantId,
    conversationId: ConversationId,
    joined: readonly UserId[],
    left: readonly UserId[],
  ): void
  sessionsEnded(sessionIds: readonly SessionId[], reason: string): void
  /** A socket is registered: its session may have ended between its ticket and now. */
  opened(connection: Connection): void
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
  /** Of these users those whose presence the caller may be told now. */
  findVisible(ctx: Ctx, userIds: readonly UserId[]): Promise<readonly UserId[]>
}

/** Sessions that ended lately, for sockets that were on their way in. */
const ENDED_MAX = 10_000
/** Between two looks at a conversation in doubt; after so many without an answer the sockets are cut, come back and sync. */
const DOUBT_EVERY_MS = 250
const DOUBT_LOOKS_MAX = 40

const keyOf = (tenantId: TenantId, conversationId: ConversationId) => `${tenantId}/${conversationId}`

/**
 * One serialisation for each entry, many sockets. The entries of a conversation go out in order: each waits for the one
 * before it, or goes with it, and a membership entry renews the audience before what follows is delivered.
 */
export function createFanOut(deps: FanOutDeps): FanOut {
  const { registry, audiences, delivering } = deps
  /** A lost frame is repaired by the client: it sees the gap. */
  const turns = createTurns<AppendedEntry>((error, key) => {
    const [tenantId] = key.split('/') as [TenantId]
    if (error instanceof Problem && error.code === 'keys/tampered') logTampering(deps.log, error, { tenantId })
    else deps.log.warn('fan-out.failed', {}, error)
  })
  const ended = createBoundedMap<string>(ENDED_MAX)
  /** Conversations in doubt whose turn has not come. */
  const doubted = new Set<string>()

  async function audienceOf(tenantId: TenantId, conversationId: ConversationId): Promise<Audience> {
    return audiences.known(tenantId, conversationId) ?? audiences.load(tenantId, conversationId)
  }

  /** @param frameFor  undefined: this member is not told */
  function broadcast(
    tenantId: TenantId,
    conversationId: ConversationId,
    frameFor: (userId: UserId, audience: Audience) => EncodedFrame | undefined,
  ): void {
    if (registry.size === 0) return
    turns.take(keyOf(tenantId, conversationId), async () => {
      const audience = await audienceOf(tenantId, conversationId)
      for (const userId of audience.keys()) {
        const frame = frameFor(userId, audience)
        if (frame === undefined) continue
        for (const connection of registry.ofUser(tenantId, userId))
          if (connection.isLive) connection.outgoing.send(frame)
      }
    })
  }

  /** Entries of one conversation that are told in one go, with nothing between them. */
  async function deliverRun(
    tenantId: TenantId,
    conversationId: ConversationId,
    run: readonly AppendedEntry[],
  ): Promise<void> {
    const receivers = await findReceivers(tenantId, conversationId, run.at(-1)!.seq)
    if (receivers.length === 0) return
    const due = await cuttingOnFailure(
      receivers.map(({ connection }) => connection),
      () => Promise.all(run.map(openEntry)),
    )
    for (const { connection, fromSeq } of receivers) {
      const visible = fromSeq <= due[0]!.seq ? due : due.filter(({ seq }) => seq >= fromSeq)
      delivering.deliver(connection, conversationId, visible)
    }
  }

  async function openEntry(entry: AppendedEntry): Promise<DueFrame> {
    const frame = JSON.stringify({ op: 'entry', entry: await entry.open() } satisfies Frame)
    return { seq: entry.seq, frame: encodeFrame(frame) }
  }

  /** Live sockets of those who may see the entry at `seq`, and from where on each may see the log. */
  async function findReceivers(
    tenantId: TenantId,
    conversationId: ConversationId,
    seq: number,
  ): Promise<readonly { readonly connection: Connection; readonly fromSeq: number }[]> {
    const audience =
      audiences.known(tenantId, conversationId) ??
      (await cuttingOnFailure(allLiveOf(tenantId), () => audiences.load(tenantId, conversationId)))
    const receivers: { connection: Connection; fromSeq: number }[] = []
    for (const [userId, fromSeq] of audience) {
      if (seq < fromSeq) continue
      for (const connection of registry.ofUser(tenantId, userId))
        if (connection.isLive) receivers.push({ connection, fromSeq })
    }
    return receivers
  }

  /** Nobody would see the gap before the next entry: who cannot be told is cut, comes back and syncs. */
  async function cuttingOnFailure<T>(receivers: readonly Connection[], fn: () => Promise<T>): Promise<T> {
    try {
      return await fn()
    } catch (error) {
      for (const connection of receivers) connection.close(4503)
      throw error
    }
  }

  async function settleDoubt(tenantId: TenantId, conversationId: ConversationId): Promise<void> {
    const audience = await cuttingOnFailure(allLiveOf(tenantId), () => loadInDoubt(tenantId, conversationId))
    const left = allLiveOf(tenantId)
      .filter(({ ctx, deliveries }) => deliveries.has(conversationId) && !audience.has(ctx.userId))
      .map(({ ctx }) => ctx.userId)
    endMemberships(tenantId, conversationId, [...new Set(left)])
    tellChanged(tenantId, conversationId)
  }

  async function loadInDoubt(tenantId: TenantId, conversationId: ConversationId): Promise<Audience> {
    for (let looksLeft = DOUBT_LOOKS_MAX; ; looksLeft--) {
      try {
        return await audiences.load(tenantId, conversationId, true)
      } catch (error) {
        if (looksLeft === 0) throw error
      }
      await delay(DOUBT_EVERY_MS, undefined, { ref: false })
    }
  }

  function endMemberships(tenantId: TenantId, conversationId: ConversationId, left: readonly UserId[]): void {
    for (const userId of left) {
      for (const connection of registry.ofUser(tenantId, userId)) {
        delivering.end(connection, conversationId)
        send(connection, { op: 'capabilities', conversationId, can: [] })
        narrowWatch(connection)
      }
      for (const connection of registry.watchersOf(tenantId, userId)) narrowWatch(connection)
    }
  }

  function tellChanged(tenantId: TenantId, conversationId: ConversationId): void {
    const frame = encodeFrame(JSON.stringify({ op: 'conversation', conversationId } satisfies Frame))
    broadcast(tenantId, conversationId, () => frame)
  }

  function allLiveOf(tenantId: TenantId): readonly Connection[] {
    return [...registry.all()].filter(({ ctx, isLive }) => isLive && ctx.tenantId === tenantId)
  }

  function closeEnded(connection: Connection, reason: string): void {
    send(connection, { op: 'session', state: 'ended', reason })
    // One turn of the event loop lets the frame go out before the close.
    setImmediate(() => connection.close(4401))
  }

  /** Who no longer shares a conversation may no longer be told of each other. */
  function narrowWatch(connection: Connection): void {
    const watched = [...connection.watched]
    if (watched.length === 0) return
    deps.findVisible(connection.ctx, watched).then(
      (visible) =>
        registry.unwatch(
          connection,
          watched.filter((userId) => !visible.includes(userId)),
        ),
      (error: unknown) => {
        registry.unwatch(connection, watched)
        deps.log.warn('fan-out.failed', {}, error)
      },
    )
  }

  return {
    entryAppended(tenantId, entry) {
      const { conversationId, isMembership } = entry
      if (registry.size === 0) {
        if (isMembership) audiences.forget(tenantId, conversationId)
        return
      }
      const key = keyOf(tenantId, conversationId)
      const deliver = (run: readonly AppendedEntry[]) => deliverRun(tenantId, conversationId, run)
      if (!isMembership) return turns.join(key, entry, deliver)
      turns.take(key, () => {
        audiences.forget(tenantId, conversationId)
        return deliver([entry])
      })
    },
    cursorMoved(tenantId, conversationId, { unread, asOfSeq, ...cursor }) {
      const frame = encodeFrame(JSON.stringify({ op: 'cursor', conversationId, cursor } satisfies Frame))
      const own = encodeFrame(JSON.stringify({ op: 'cursor', conversationId, cursor, unread, asOfSeq } satisfies Frame))
      broadcast(tenantId, conversationId, (userId, { size }) => {
        if (userId === cursor.userId) return own
        return size <= limitDefaults.receiptMembersMax ? frame : undefined
      })
    },
    typingSignalled(tenantId, conversationId, userId, typing) {
      const frame = encodeFrame(JSON.stringify({ op: 'typing', conversationId, userId, typing } satisfies Frame))
      broadcast(tenantId, conversationId, (memberId) => (memberId === userId ? undefined : frame))
    },
    presenceChanged(tenantId, presence) {
      for (const connection of registry.watchersOf(tenantId, presence.userId))
        send(connection, { op: 'presence', presence })
    },
    conversationChanged: tellChanged,
    conversationDoubted(tenantId, conversationId) {
      audiences.forget(tenantId, conversationId)
      const key = keyOf(tenantId, conversationId)
      if (registry.size === 0 || doubted.has(key)) return
      doubted.add(key)
      turns.take(key, () => {
        doubted.delete(key)
        return settleDoubt(tenantId, conversationId)
      })
    },
    membershipChanged(tenantId, conversationId, _joined, left) {
      audiences.forget(tenantId, conversationId)
      endMemberships(tenantId, conversationId, left)
      tellChanged(tenantId, conversationId)
    },
    sessionsEnded(sessionIds, reason) {
      for (const sessionId of sessionIds) {
        ended.set(sessionId, reason)
        for (const connection of registry.ofSession(sessionId)) closeEnded(connection, reason)
      }
    },
    opened(connection) {
      const reason = ended.get(connection.ctx.sessionId)
      if (reason !== undefined) closeEnded(connection, reason)
    },
  }
}
