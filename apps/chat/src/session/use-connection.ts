import type { ConnectionSnapshot } from '@sotto/sdk'
import { useLive } from '../platform/use-live.ts'
import { useSession } from './session-context.tsx'

export function useConnection(): ConnectionSnapshot {
  return useLive(useSession().sotto.connection)
}
