import { useMemo } from 'react'
import { ErrorBoundary } from './ui/error-boundary.tsx'
import { currentRoute } from './platform/navigation.ts'
import { useLive } from './platform/use-live.ts'
import { SignInLinkScreen } from './screens/sign-in-link-screen.tsx'
import { SignInScreen } from './screens/sign-in-screen.tsx'
import { ResumingScreen } from './screens/resuming-screen.tsx'
import { SessionContext } from './session/session-context.tsx'
import type { SessionState, SessionStore } from './session/session-store.ts'
import { Shell } from './home/shell.tsx'

export interface AppProps {
  readonly store: SessionStore
}

export function App({ store }: AppProps) {
  const state = useLive(store)
  return (
    <ErrorBoundary>
      <Content store={store} state={state} />
    </ErrorBoundary>
  )
}

function Content({ store, state }: AppProps & { readonly state: SessionState }) {
  const route = useLive(currentRoute)
  const signedIn = useMemo(() => (state.status === 'signed-in' ? { ...state, store } : null), [state, store])
  if (route.page === 'sign-in-link' && state.status !== 'resuming') {
    return (
      <SessionContext value={signedIn}>
        <SignInLinkScreen store={store} isSignedIn={signedIn !== null} />
      </SessionContext>
    )
  }
  if (signedIn !== null) {
    return (
      <SessionContext value={signedIn}>
        <Shell key={signedIn.session.sessionId} />
      </SessionContext>
    )
  }
  if (state.status === 'signed-out') {
    const { reason, unsent, isHeard } = state
    return <SignInScreen store={store} reason={reason} unsent={unsent} isHeard={isHeard} />
  }
  return <ResumingScreen isUnreachable={state.status === 'unreachable'} onRetry={store.retryNow} />
}
