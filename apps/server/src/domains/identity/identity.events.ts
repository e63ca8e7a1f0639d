import type { SessionId, TenantId } from '@sotto/protocol'
import { topic } from '../../platform/bus/bus.ts'
import type { Instant } from '../../platform/time/clock.ts'
import type { EndReason } from './session.model.ts'

/**
 * Sessions have ended: their sockets close within a second. A hint, published after the commit; whoever misses it is
 * refused at the next command, because every decision reads the session anew.
 */
export const sessionEnded = topic<{
  readonly tenantId: TenantId
  readonly sessionIds: readonly SessionId[]
  readonly reason: EndReason
}>('session.ended')

/**
 * The user of a session has acted, and it is written: at most every 30 seconds for each session. Its sockets may have been
 * told that it expires.
 */
export const sessionActive = topic<{ readonly sessionId: SessionId; readonly idleAt: Instant }>('session.active')
