import type { SessionId, TenantId, UserId } from '@sotto/protocol'
import type { Connection } from './connection.ts'

/** The open sockets of this node, found by user, by session and by whom they watch. */
export interface Registry {
  add(connection: Connection): void
  remove(connection: Connection): void
  ofUser(tenantId: TenantId, userId: UserId): ReadonlySet<Connection>
  ofSession(sessionId: SessionId): ReadonlySet<Connection>
  watchersOf(tenantId: TenantId, userId: UserId): ReadonlySet<Connection>
  /** Watches these instead of those before. */
  watch(connection: Connection, userIds: readonly UserId[]): void
  unwatch(connection: Connection, userIds: readonly UserId[]): void
  all(): Iterable<Connection>
  readonly size: number
}

const NONE: ReadonlySet<Connection> = new Set()

export function createRegistry(): Registry {
  const all = new Set<Connection>()
  const byUser = new Map<TenantId, Map<UserId, Set<Connection>>>()
  const bySession = new Map<string, Set<Connection>>()
  const byWatched = new Map<string, Set<Connection>>()
  const userKey = (tenantId: TenantId, userId: UserId) => `${tenantId}/${userId}`

  function usersOf(tenantId: TenantId): Map<UserId, Set<Connection>> {
    const users = byUser.get(tenantId) ?? new Map<UserId, Set<Connection>>()
    byUser.set(tenantId, users)
    return users
  }

  function unwatchAll(connection: Connection): void {
    for (const userId of connection.watched) drop(byWatched, userKey(connection.ctx.tenantId, userId), connection)
  }

  return {
    add(connection) {
      all.add(connection)
      put(usersOf(connection.ctx.tenantId), connection.ctx.userId, connection)
      put(bySession, connection.ctx.sessionId, connection)
    },
    remove(connection) {
      all.delete(connection)
      const users = usersOf(connection.ctx.tenantId)
      drop(users, connection.ctx.userId, connection)
      if (users.size === 0) byUser.delete(connection.ctx.tenantId)
      drop(bySession, connection.ctx.sessionId, connection)
      unwatchAll(connection)
    },
    ofUser: (tenantId, userId) => byUser.get(tenantId)?.get(userId) ?? NONE,
    ofSession: (sessionId) => bySession.get(sessionId) ?? NONE,
    watchersOf: (tenantId, userId) => byWatched.get(userKey(tenantId, userId)) ?? NONE,
    watch(connection, userIds) {
      // A socket that has closed while it asked would be kept for ever.
      if (!all.has(connection)) return
      unwatchAll(connection)
      connection.watched = new Set(userIds)
      for (const userId of userIds) put(byWatched, userKey(connection.ctx.tenantId, userId), connection)
    },
    unwatch(connection, userIds) {
      const gone = new Set(userIds)
      connection.watched = new Set([...connection.watched].filter((userId) => !gone.has(userId)))
      for (const userId of userIds) drop(byWatched, userKey(connection.ctx.tenantId, userId), connection)
    },
    all: () => all,
    get size() {
      return all.size
    },
  }
}

function put<Key>(index: Map<Key, Set<Connection>>, key: Key, connection: Connection): void {
  const set = index.get(key)
  if (set) set.add(connection)
  else index.set(key, new Set([connection]))
}

function drop<Key>(index: Map<Key, Set<Connection>>, key: Key, connection: Connection): void {
  const set = index.get(key)
  if (set === undefined) return
  set.delete(connection)
  if (set.size === 0) index.delete(key)
}
