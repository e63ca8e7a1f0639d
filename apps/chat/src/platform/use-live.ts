import type { Live } from '@sotto/sdk'
import { useSyncExternalStore } from 'react'

/** The present snapshot of a live object; the component renders again when it changes. */
export function useLive<Snapshot>(live: Live<Snapshot>): Snapshot {
  return useSyncExternalStore(live.subscribe, live.getSnapshot)
}
