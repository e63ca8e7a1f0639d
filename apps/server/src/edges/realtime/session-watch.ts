import type { Limits, SessionId, TenantId } from '@sotto/protocol'
import type { SessionEnds } from '../../domains/identity/index.ts'
import { toRfc3339, type Clock, type Instant } from '../../platform/time/clock.ts'
import { send, type Connection } from './connection.ts'
import type { Registry } from './registry.ts'

/**
 * Idle and absolute limits are reached without an act that could tell, so the sessions of open sockets are looked up by the
 * clock: one statement for each tenant, however many sockets there are. Every look judges anew by the wall clock as it is
 * then, so that a clock that jumps makes no warning wrong for longer than until the next look.
 *
 * | a socket was told | it is told next |
 * |---|---|
 * | nothing, or `active` | `expiring` when the end is near |
 * | `expiring` | `expiring` when another end is near, `active` when none is, `ended` when it has come |
 */
export interface SessionWatch {
  /** Looks once. */
  sweep(): Promise<void>
  /** Sessions may have ended, and nobody knows: looks at once, and again until the database answers. */
  doubt(): void
  /** The user has acted: what was said of her idleness is taken back at once. */
  acted(sessionId: SessionId, idleAt: Instant): void
}

export interface SessionWatchDeps {
  readonly registry: Registry
  readonly clock: Clock
  readonly limits: Pick<Limits, 'sessionExpiringSeconds' | 'sessionIdleSeconds'>
  /** Sessions that are over are not in the map. */
  findSessionEnds(tenantId: TenantId, sessionIds: readonly SessionId[]): Promise<ReadonlyMap<SessionId, SessionEnds>>
  onOver(sessionIds: readonly SessionId[]): void
}

interface Warning {
  readonly reason: 'idle' | 'absolute'
  readonly endsAt: Instant
  /** Kept for the moment at which the user acts. */
  readonly absoluteAt: Instant
}

/** Between two looks while the database does not answer; after so many the looks by the clock are enough. */
const DOUBT_EVERY_MS = 250
const DOUBT_LOOKS_MAX = 40

export function createSessionWatch(deps: SessionWatchDeps): SessionWatch {
  const { registry, clock } = deps
  /** Sockets that have been warned, and of what. */
  const warned = new WeakMap<Connection, Warning>()
  const { sessionExpiringSeconds, sessionIdleSeconds } = deps.limits
  // A session that is called expiring most of its life would be warned of nothing.
  const warnMs = Math.min(sessionExpiringSeconds, sessionIdleSeconds / 2) * 1000

  function warningOf({ idleAt, absoluteAt }: SessionEnds): Warning | undefined {
    const reason = idleAt < absoluteAt ? 'idle' : 'absolute'
    const endsAt = reason === 'idle' ? idleAt : absoluteAt
    return endsAt - clock.now() <= warnMs ? { reason, endsAt, absoluteAt } : undefined
  }

  function tell(connection: Connection, warning: Warning | undefined): void {
    const before = warned.get(connection)
    if (before?.endsAt === warning?.endsAt && before?.reason === warning?.reason) return
    if (warning === undefined) {
      warned.delete(connection)
      return send(connection, { op: 'session', state: 'active' })
    }
    warned.set(connection, warning)
    const { reason, endsAt } = warning
    const at = toRfc3339(clock.now())
    send(connection, { op: 'session', state: 'expiring', reason, at, endsAt: toRfc3339(endsAt) })
  }

  let doubts = 0

  async function sweep(): Promise<void> {
    const byTenant = Map.groupBy(registry.all(), ({ ctx }) => ctx.tenantId)
    for (const [tenantId, connections] of byTenant) {
      const bySession = Map.groupBy(connections, ({ ctx }) => ctx.sessionId)
      const sessionIds = [...bySession.keys()]
      const ends = await deps.findSessionEnds(tenantId, sessionIds)
      for (const [sessionId, end] of ends)
        for (const connection of bySession.get(sessionId) ?? []) tell(connection, warningOf(end))
      deps.onOver(sessionIds.filter((sessionId) => !ends.has(sessionId)))
    }
  }

  async function lookInDoubt(doubt: number, looksLeft: number): Promise<void> {
    try {
      await sweep()
    } catch {
      // A newer doubt looks for this one, too.
      if (looksLeft > 0 && doubt === doubts)
        setTimeout(() => void lookInDoubt(doubt, looksLeft - 1), DOUBT_EVERY_MS).unref()
    }
  }

  return {
    sweep,
    doubt: () => void lookInDoubt(++doubts, DOUBT_LOOKS_MAX),
    acted(sessionId, idleAt) {
      for (const connection of registry.ofSession(sessionId)) {
        const before = warned.get(connection)
        if (before !== undefined) tell(connection, warningOf({ idleAt, absoluteAt: before.absoluteAt }))
      }
    },
  }
}
