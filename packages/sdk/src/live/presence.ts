import type { Presence as PresenceRecord, UserId } from '@sotto/protocol'
import { limitTable } from '../contract.generated.ts'
import { createListeners, type Live } from '../platform/live.ts'
import type { Core } from '../runtime/core.ts'

/** Who is there, as far as it is known now; a user that is missing is not known. Empty while there is no connection. */
export type PresenceSnapshot = ReadonlyMap<UserId, PresenceRecord['state']>

/** The presence of the users that someone watches. */
export interface Presence extends Live<PresenceSnapshot> {
  /**
   * Watches these users too, up to `presenceWatchMax` in all. Watchers of the same user count as one.
   *
   * @returns ends this watch
   */
  watch(userIds: readonly string[]): () => void
  /** Says whether the person is at this device. Survives reconnecting. */
  set(state: 'online' | 'away'): void
}

export function createPresence(core: Core): Presence {
  const { runtime } = core
  const listeners = createListeners()
  const watches = new Set<readonly string[]>()
  core.onChange(({ before, after }) => {
    if (before.presence !== after.presence) listeners.notify()
  })

  function tell(): void {
    const userIds = [...new Set([...watches].flat())].slice(0, limitTable.presenceWatchMax) as UserId[]
    const known = runtime.getState().watched
    if (userIds.length === known.length && userIds.every((userId) => known.includes(userId))) return
    runtime.dispatch({ type: 'watch', userIds })
  }

  return {
    getSnapshot: () => runtime.getState().presence,
    subscribe: listeners.subscribe,
    watch(userIds) {
      const entry = [...userIds]
      watches.add(entry)
      tell()
      return () => {
        if (watches.delete(entry)) tell()
      }
    },
    set: (state) => runtime.dispatch({ type: 'own-presence', state }),
  }
}
