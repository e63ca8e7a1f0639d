import type { User } from '@sotto/sdk'
import { useCallback } from 'react'
import { useLoaded, type Loaded } from '../ui/use-loaded.ts'
import { useSession } from './session-context.tsx'

/** The users that the caller may see, by name, loaded when they are needed. */
export function useUsers(): Loaded<readonly User[]> {
  const { people } = useSession()
  const load = useCallback(async () => {
    const users = await people.listUsers()
    return users.toSorted((left, right) => left.displayName.localeCompare(right.displayName))
  }, [people])
  return useLoaded(load)
}
