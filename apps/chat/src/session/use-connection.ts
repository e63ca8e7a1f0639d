import type { ConnectionSnapshot } from '@sotto/sdk'
import { useSyncExternalStore } from 'react'
import { useLive } from '../platform/use-live.ts'
import { useSession } from './session-context.tsx'

/** The connection as a person sees it: a socket that still seems open does not count while the device has no network. */
export function useConnection(): ConnectionSnapshot {
  const { sotto } = useSession()
  const connection = useLive(sotto.connection)
  const hasNetwork = useSyncExternalStore(subscribe, () => navigator.onLine)
  return hasNetwork || connection.status === 'ended' ? connection : offline
}

const offline: ConnectionSnapshot = { status: 'offline', nextAttemptAt: null, problem: null }

function subscribe(listener: () => void): () => void {
  addEventListener('online', listener)
  addEventListener('offline', listener)
  return () => {
    removeEventListener('online', listener)
    removeEventListener('offline', listener)
  }
}
