import type {
  Capability,
  Conversation,
  ConversationId,
  Cursor,
  DeviceId,
  Entry,
  EntryId,
  MovedCursor,
  Payload,
  ProblemCode,
  ProblemDocument,
  SendablePayload,
  Sent,
  Sync,
  UserId,
} from '@sotto/protocol'
import { problemTable } from '../src/contract.generated.ts'

/**
 * The other end of the contract, in memory and without a clock of its own: conversations, logs, cursors, sync tokens,
 * one answer per command, frames to whoever has subscribed. It lets the client be tested against a network that loses,
 * repeats and reorders; the server's own rules are tested on the server.
 */
export interface Peer {
  createConversation(id: ConversationId, memberIds: readonly UserId[]): void
  addMember(id: ConversationId, userId: UserId): void
  removeMember(id: ConversationId, userId: UserId): void
  /** Opens a socket; `emit` gets every frame for it once it has synced. */
  attach(userId: UserId, deviceId: DeviceId, emit: (frame: object) => void): PeerSocket
  detach(socket: PeerSocket): void
  command(socket: PeerSocket, op: string, body: Record<string, unknown>): Answer
  send(userId: UserId, deviceId: DeviceId, id: ConversationId, message: PeerMessage): Answer
  listEntries(userId: UserId, id: ConversationId, range: PeerRange): Answer
  listCursors(userId: UserId, id: ConversationId): Answer
  listMembers(userId: UserId, id: ConversationId): Answer
  sync(userId: UserId, token: string | undefined, limit: number): Answer
  conversation(userId: UserId, id: ConversationId): Answer
  /** What the peer knows, for a test's own judgement. */
  log(id: ConversationId): readonly Entry[]
  unread(id: ConversationId, userId: UserId): number
  members(id: ConversationId): ReadonlySet<UserId>
  cursor(id: ConversationId, userId: UserId): Cursor
  /** Forgets every sync token, as another deployment would. */
  expireTokens(): void
  /** @returns brings back what is there now, as another deployment: what comes after it is lost */
  backUp(): () => void
}

export interface PeerSocket {
  readonly userId: UserId
  readonly deviceId: DeviceId
  readonly emit: (frame: object) => void
  subscribed: boolean
}
export interface PeerMessage {
  readonly entryId: EntryId
  readonly payload: SendablePayload
}
export interface PeerRange {
  readonly afterSeq?: number | undefined
  readonly beforeSeq?: number | undefined
  readonly limit: number
}
export type Answer = { readonly result: unknown } | { readonly problem: ProblemDocument }

interface Room {
  readonly id: ConversationId
  readonly log: Entry[]
  readonly members: Map<UserId, Cursor>
  /** Grows with every change that a summary shows, per member. */
  readonly versions: Map<UserId, number>
}

const every: Capability[] = [
  'conversation.get',
  'conversation.update',
  'entry.list',
  'message.send',
  'member.list',
  'member.add',
  'member.remove',
  'member.leave',
  'cursor.list',
  'cursor.move',
  'typing.signal',
]
export const epoch = '2026-01-01T00:00:00.000Z'

export function createPeer(): Peer {
  const rooms = new Map<ConversationId, Room>()
  const left = new Map<UserId, Map<ConversationId, number>>()
  const sockets = new Set<PeerSocket>()
  let version = 0
  let tokensOf = 1
  // Never goes back: two entries of two logs are never the same by accident.
  let membershipChanges = 0
  let appended = 0

  function emitTo(room: Room, frame: object, only: (userId: UserId) => boolean = () => true): void {
    for (const socket of sockets) {
      if (socket.subscribed && room.members.has(socket.userId) && only(socket.userId)) socket.emit(frame)
    }
  }

  function append(room: Room, sender: Entry['sender'], entryId: EntryId, kind: Entry['kind'], payload: Payload): Entry {
    const counts = kind === 'application'
    const entry: Entry = {
      conversationId: room.id,
      seq: room.log.length + 1,
      countable: (room.log.at(-1)?.countable ?? 0) + (counts ? 1 : 0),
      entryId,
      kind,
      sender,
      at: new Date(Date.parse(epoch) + appended++ * 1_000).toISOString(),
      clientSentAt: null,
      header: { counts, priority: 'routine', notify: 'normal' },
      payload,
    }
    room.log.push(entry)
    version += 1
    for (const userId of room.members.keys()) room.versions.set(userId, version)
    emitTo(room, { op: 'entry', entry })
    return entry
  }

  function unread(room: Room, userId: UserId): number {
    const { readSeq } = room.members.get(userId) ?? { readSeq: 0 }
    return room.log.filter((e) => e.seq > readSeq && e.header.counts && e.sender.userId !== userId).length
  }

  function moved(room: Room, userId: UserId): MovedCursor {
    return { ...room.members.get(userId)!, unread: unread(room, userId), asOfSeq: room.log.length }
  }

  function summarise(room: Room, userId: UserId): Conversation {
    return {
      conversationId: room.id,
      kind: 'group',
      mode: 'managed',
      title: null,
      subjectUserId: null,
      history: 'full',
      closed: false,
      createdAt: epoch,
      memberCount: room.members.size,
      counterpart: null,
      lastSeq: room.log.length,
      firstVisibleSeq: 1,
      lastEntryAt: room.log.at(-1)?.at ?? null,
      lastEntry: room.log.at(-1) ?? null,
      cursor: moved(room, userId),
      can: every,
      notForEmergencies: false,
    }
  }

  function membership(room: Room, change: 'created' | 'added' | 'removed', userIds: readonly UserId[]): void {
    const sender = { userId: userIds[0]!, deviceId: userIds[0]! as unknown as DeviceId }
    const entryId = `00000000-0000-7000-8000-${String(++membershipChanges).padStart(12, '0')}` as EntryId
    append(room, sender, entryId, 'membership', { v: 1, type: 'membership', change, userIds: [...userIds] })
  }

  function visible(userId: UserId, id: ConversationId, then: (room: Room) => unknown): Answer {
    const room = rooms.get(id)
    if (room === undefined || !room.members.has(userId)) return { problem: problem('access/not-found', 404) }
    return { result: then(room) }
  }

  function moveCursor(userId: UserId, body: Partial<Cursor> & { conversationId: ConversationId }): Answer {
    const room = rooms.get(body.conversationId)
    const known = room?.members.get(userId)
    if (room === undefined || known === undefined) return { problem: problem('access/not-found', 404) }
    const { deliveredSeq = 0, readSeq = 0 } = body
    if (Math.max(deliveredSeq, readSeq) > room.log.length)
      return { problem: problem('conversations/cursor-ahead', 409) }
    const cursor: Cursor = {
      userId,
      deliveredSeq: Math.max(known.deliveredSeq, deliveredSeq, readSeq),
      readSeq: Math.max(known.readSeq, readSeq),
    }
    room.members.set(userId, cursor)
    room.versions.set(userId, ++version)
    emitTo(room, { op: 'cursor', conversationId: room.id, cursor }, (other) => other !== userId)
    const own = moved(room, userId)
    const frame = { op: 'cursor', conversationId: room.id, cursor, unread: own.unread, asOfSeq: own.asOfSeq }
    emitTo(room, frame, (other) => other === userId)
    return { result: own }
  }

  const peer: Peer = {
    createConversation(id, memberIds) {
      const members = new Map(memberIds.map((userId) => [userId, { userId, deliveredSeq: 0, readSeq: 0 }]))
      const room: Room = { id, log: [], members, versions: new Map() }
      rooms.set(id, room)
      membership(room, 'created', memberIds)
      emitTo(room, { op: 'conversation', conversationId: id })
    },
    addMember(id, userId) {
      const room = rooms.get(id)!
      const { length } = room.log
      room.members.set(userId, { userId, deliveredSeq: length, readSeq: length })
      left.get(userId)?.delete(id)
      membership(room, 'added', [userId])
      emitTo(room, { op: 'conversation', conversationId: id })
    },
    removeMember(id, userId) {
      const room = rooms.get(id)!
      membership(room, 'removed', [userId])
      emitTo(room, { op: 'capabilities', conversationId: id, can: [] }, (other) => other === userId)
      room.members.delete(userId)
      left.set(userId, (left.get(userId) ?? new Map<ConversationId, number>()).set(id, ++version))
    },
    attach(userId, deviceId, emit) {
      const socket: PeerSocket = { userId, deviceId, emit, subscribed: false }
      sockets.add(socket)
      return socket
    },
    detach: (socket) => void sockets.delete(socket),

    command(socket, op, body) {
      const { userId, deviceId } = socket
      const id = body['conversationId'] as ConversationId
      switch (op) {
        case 'conversation.sync':
          socket.subscribed = true
          return peer.sync(userId, body['token'] as string | undefined, (body['limit'] as number | undefined) ?? 200)
        case 'message.send':
          return peer.send(userId, deviceId, id, body as unknown as PeerMessage)
        case 'cursor.move':
          return moveCursor(userId, body as never)
        case 'typing.signal':
          return visible(userId, id, (room) => {
            const frame = { op: 'typing', conversationId: id, userId, typing: body['typing'] }
            emitTo(room, frame, (other) => other !== userId)
            return {}
          })
        case 'presence.watch':
          return { result: { items: (body['userIds'] as UserId[]).map((who) => ({ userId: who, state: 'online' })) } }
        default:
          return { result: op === 'ping' ? { at: epoch } : {} }
      }
    },

    send: (userId, deviceId, id, { entryId, payload }) =>
      visible(userId, id, (room): Sent => {
        const known = room.log.find((entry) => entry.entryId === entryId)
        const entry = known ?? append(room, { userId, deviceId }, entryId, 'application', payload)
        return { entryId, seq: entry.seq, countable: entry.countable, at: entry.at }
      }),
    listEntries: (userId, id, { afterSeq, beforeSeq, limit }) =>
      visible(userId, id, ({ log }) => {
        const after = log.slice(afterSeq ?? 0, (afterSeq ?? 0) + limit)
        const end = beforeSeq === undefined ? log.length : beforeSeq - 1
        const before = log.slice(Math.max(0, end - limit), end)
        return { items: afterSeq === undefined ? before : after, firstVisibleSeq: 1, lastSeq: log.length }
      }),
    listCursors: (userId, id) => visible(userId, id, ({ members }) => ({ items: [...members.values()] })),
    listMembers: (userId, id) =>
      visible(userId, id, ({ members }) => ({
        items: [...members.keys()].map((who) => ({
          userId: who,
          displayName: who,
          role: 'clinician',
          memberRole: 'participant',
          active: true,
          joinedAt: epoch,
        })),
        next: null,
      })),
    conversation: (userId, id) => visible(userId, id, (room) => summarise(room, userId)),

    sync(userId, token, limit) {
      const [of, at] = (token ?? `${tokensOf}.0`).split('.').map(Number) as [number, number]
      if (of !== tokensOf) return { problem: problem('conversations/sync-expired', 410) }
      const changed = [...rooms.values()]
        .filter((room) => room.members.has(userId) && (room.versions.get(userId) ?? 0) > at)
        .toSorted((a, b) => a.versions.get(userId)! - b.versions.get(userId)!)
      const page = changed.slice(0, limit)
      const more = page.length < changed.length
      const next = more ? page.at(-1)!.versions.get(userId)! : version
      const removed = more ? [] : [...(left.get(userId) ?? [])].filter(([, when]) => when > at).map(([id]) => id)
      const result: Sync = {
        changed: page.map((room) => summarise(room, userId)),
        removed: token === undefined ? [] : removed,
        token: `${tokensOf}.${next}`,
        more,
      }
      return { result: structuredClone(result) }
    },

    log: (id) => rooms.get(id)!.log,
    unread: (id, userId) => unread(rooms.get(id)!, userId),
    members: (id) => new Set(rooms.get(id)!.members.keys()),
    cursor: (id, userId) => rooms.get(id)!.members.get(userId)!,
    expireTokens: () => void (tokensOf += 1),
    backUp() {
      const kept = structuredClone({ rooms: [...rooms], left: [...left], version })
      return () => {
        const again = structuredClone(kept)
        for (const [map, entries] of [[rooms, again.rooms] as const, [left, again.left] as const]) {
          map.clear()
          for (const [key, value] of entries) (map as Map<unknown, unknown>).set(key, value)
        }
        version = again.version
        tokensOf += 1
      }
    },
  }
  return peer
}

const retries: Readonly<Record<string, ProblemDocument['retry'] | undefined>> = problemTable

export function problem(code: ProblemCode, status: number, more: Partial<ProblemDocument> = {}): ProblemDocument {
  return { type: 'about:blank', title: code, status, code, retry: retries[code] ?? 'never', ...more }
}
