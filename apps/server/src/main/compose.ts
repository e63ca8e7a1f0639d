import { composeRealtime } from './compose-realtime.ts'
import { composeRooms, type Parts, type Rooms } from './compose-rooms.ts'
import { auditRoutes, listAuditEventsAsOperator, type OperatorQuery } from '../domains/audit/index.ts'
import { conversationsRoutes, moveCursor, syncConversations } from '../domains/conversations/index.ts'
import { messagesRoutes, sendMessage } from '../domains/messages/index.ts'
import { presenceRoutes, setPresence, signalTyping, watchPresence } from '../domains/presence/index.ts'
import { onDoubt } from './on-doubt.ts'
import type { RoomOperations } from '../edges/http/handlers.ts'
import type { CommandOperations } from '../edges/realtime/commands.ts'
import { type Origin } from '../platform/context/context.ts'
import { DatabaseUnavailable } from '../platform/db/errors.ts'

/** Joins rooms and edges: with its two neighbours the only place that knows them all. Nothing here decides anything. */
export function compose(parts: Parts) {
  const rooms = composeRooms(parts)
  const { db, clock, random, ids, sealer, keys } = rooms
  const realtime = composeRealtime(rooms)
  return {
    ...rooms,
    ...realtime,
    operations: onDoubt(joinOperations(rooms), endSessions, () => realtime.sessionWatch.doubt()),
    commands: joinCommands(rooms),
    listAuditEventsAsOperator: (origin: Origin, query: OperatorQuery) =>
      listAuditEventsAsOperator({ clock, random, ids, sealer, keys, db }, origin, query),
  }
}

export type Composition = ReturnType<typeof compose>

/** What may end sessions: their sockets close also when nobody knows whether it has happened. */
const endSessions = [
  'endSession',
  'revokeDevice',
  'updateUser',
  'changePassword',
  'refreshSession',
  'redeemSignInLink',
] as const

/** The operations of HTTP. */
function joinOperations(rooms: Rooms): RoomOperations {
  const { identity, conversationDeps, presenceDeps, clock, random, ids, sealer, keys, db, access } = rooms
  return {
    ...identity.routes,
    ...conversationsRoutes(conversationDeps),
    ...messagesRoutes({ ...conversationDeps }),
    ...presenceRoutes(presenceDeps),
    ...auditRoutes({ clock, random, ids, sealer, keys, db, access }),
  }
}

/** The operations of the socket: the same functions. */
function joinCommands({ conversationDeps, presenceDeps, kept, bus }: Rooms): CommandOperations {
  return {
    sendMessage: (ctx, input) => sendMessage(conversationDeps, ctx, input),
    moveCursor: (ctx, input) => moveCursor(conversationDeps, ctx, input),
    signalTyping: (ctx, input) => signalTyping({ kept, bus }, ctx, input),
    setPresence: (ctx, socketId, input) => setPresence(presenceDeps, ctx, socketId, input),
    watchPresence: (ctx, input, watch) => watchPresence(presenceDeps, ctx, input, watch),
    syncConversations: (ctx, input) => syncConversations(conversationDeps, ctx, input),
    checkSession: (ctx) => kept.checkSession(ctx).catch(passWithoutDatabase),
  }
}

/** A ping is a sign of life of this node: it is answered also while there is no database in which a session could end. */
function passWithoutDatabase(error: unknown): void {
  if (!(error instanceof DatabaseUnavailable)) throw error
}
