import { createContext, use } from 'react'
import type { SessionStore, SignedIn } from './session-store.ts'

export interface SignedInContext extends SignedIn {
  readonly store: SessionStore
}

export const SessionContext = createContext<SignedInContext | null>(null)

/** The signed-in user and what lives with her. Only for components below the sign-in. */
export function useSession(): SignedInContext {
  const value = use(SessionContext)
  if (value === null) throw new Error('nobody is signed in')
  return value
}
