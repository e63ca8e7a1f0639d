import { SottoProblem } from '../api/problem.ts'
import { createListeners, type Live } from '../platform/live.ts'
import type { Core } from '../runtime/core.ts'
import type { EndReason, Link } from '../sync/state.ts'

/**
 * | status | means |
 * |---|---|
 * | connecting | the first connection is being made |
 * | online | everything arrives as it happens |
 * | reconnecting | the connection is lost; the next attempt is under way or planned |
 * | offline | the device says that it has no network, and no answer proves it wrong; attempts go on, ever more seldom |
 * | ended | nothing more is tried until `reconnect()`; `reason` says why |
 *
 * Whatever it is, messages may be sent: they wait on the device.
 */
export type ConnectionSnapshot =
  | { readonly status: 'connecting' }
  | {
      readonly status: 'online'
      /** An answer takes longer than three seconds. */
      readonly slow: boolean
      /**
       * The session ends soon: `idle` unless the user does something (sending, typing or any call that counts as
       * activity keeps it), `absolute` whatever she does. `endsAt` by this device's clock, in ms since the epoch.
       */
      readonly expiring: { readonly reason: 'idle' | 'absolute'; readonly endsAt: number } | null
    }
  | {
      readonly status: 'reconnecting' | 'offline'
      /** By this device's clock, in ms since the epoch; null while an attempt is under way. */
      readonly nextAttemptAt: number | null
      readonly problem: SottoProblem | null
    }
  | { readonly status: 'ended'; readonly reason: EndReason; readonly problem: SottoProblem | null }

export type Connection = Live<ConnectionSnapshot>

export function createConnection(core: Core): Connection {
  const listeners = createListeners()
  let snapshot: { readonly link: Link; readonly value: ConnectionSnapshot } | null = null
  core.onChange(({ before, after }) => {
    if (before.link !== after.link) listeners.notify()
  })
  return {
    subscribe: listeners.subscribe,
    getSnapshot() {
      const { link } = core.runtime.getState()
      if (snapshot?.link !== link) snapshot = { link, value: render(core, link, snapshot?.value) }
      return snapshot.value
    },
  }
}

function render(core: Core, link: Link, last: ConnectionSnapshot | undefined): ConnectionSnapshot {
  const next = renderLink(core, link)
  return last !== undefined && JSON.stringify(last) === JSON.stringify(next) ? last : next
}

function renderLink(core: Core, link: Link): ConnectionSnapshot {
  const problem = link.problem === null ? null : new SottoProblem(link.problem)
  if (link.phase === 'ended') return { status: 'ended', reason: link.ended ?? 'closed', problem }
  const { clock } = core
  const onDevice = (at: number): number => Math.round(clock.now() + at - clock.monotonicMs())
  if (link.phase === 'live' && !link.offline) {
    const expiring = link.expiring && { ...link.expiring, endsAt: onDevice(link.expiring.endsAt) }
    return { status: 'online', slow: link.slow, expiring }
  }
  if (!link.wasLive && link.failures === 0 && !link.offline) return { status: 'connecting' }
  const nextAttemptAt = link.nextAttemptAt === null ? null : onDevice(link.nextAttemptAt)
  return { status: link.offline ? 'offline' : 'reconnecting', nextAttemptAt, problem }
}
