import type { Presence, TenantId, UserId } from '@sotto/protocol'
import { topic, type Bus } from '../../platform/bus/bus.ts'

/** A user's presence changed, as this node sees it. Kept in memory only: a beat never touches the database. */
export const presenceChanged = topic<{ readonly tenantId: TenantId; readonly presence: Presence }>('presence.changed')

/** Who is typing where: told to the other members, remembered by nobody. */
export const typingSignalled = topic<{
  readonly tenantId: TenantId
  readonly conversationId: string
  readonly userId: UserId
  readonly typing: boolean
}>('typing.signalled')

export type HereState = 'online' | 'away'

/**
 * | sockets of a user | presence |
 * |---|---|
 * | none | offline |
 * | at least one online | online |
 * | all away | away |
 */
export interface PresenceBoard {
  /** A socket opened: its user is there. */
  add(tenantId: TenantId, userId: UserId, socketId: string): void
  /** Nothing when the socket has closed meanwhile: it would be there for ever. */
  set(tenantId: TenantId, userId: UserId, socketId: string, state: HereState): void
  remove(tenantId: TenantId, userId: UserId, socketId: string): void
  stateOf(tenantId: TenantId, userId: UserId): Presence['state']
}

export function createPresenceBoard(bus: Bus): PresenceBoard {
  const users = new Map<string, Map<string, HereState>>()
  const key = (tenantId: TenantId, userId: UserId) => `${tenantId}/${userId}`
  const stateOf = (tenantId: TenantId, userId: UserId) => combine(users.get(key(tenantId, userId)))

  function change(tenantId: TenantId, userId: UserId, apply: (sockets: Map<string, HereState>) => void): void {
    const before = stateOf(tenantId, userId)
    const sockets = users.get(key(tenantId, userId)) ?? new Map<string, HereState>()
    apply(sockets)
    if (sockets.size === 0) users.delete(key(tenantId, userId))
    else users.set(key(tenantId, userId), sockets)
    const state = stateOf(tenantId, userId)
    if (state !== before) bus.publish(presenceChanged, { tenantId, presence: { userId, state } })
  }

  return {
    add: (tenantId, userId, socketId) => change(tenantId, userId, (sockets) => sockets.set(socketId, 'online')),
    set: (tenantId, userId, socketId, state) =>
      change(tenantId, userId, (sockets) => sockets.has(socketId) && sockets.set(socketId, state)),
    remove: (tenantId, userId, socketId) => change(tenantId, userId, (sockets) => sockets.delete(socketId)),
    stateOf,
  }
}

function combine(sockets: ReadonlyMap<string, HereState> | undefined): Presence['state'] {
  if (sockets === undefined || sockets.size === 0) return 'offline'
  return [...sockets.values()].includes('online') ? 'online' : 'away'
}
