import { lazy, Suspense, useEffect } from 'react'
import { currentRoute } from '../platform/navigation.ts'
import type { Route } from '../platform/route.ts'
import { useLive } from '../platform/use-live.ts'
import { usePageVisible } from '../platform/use-page-visible.ts'
import { useTitle } from '../platform/use-title.ts'
import { useSession } from '../session/session-context.tsx'
import { ConversationScreen } from '../conversation/conversation-screen.tsx'
import { DevicesScreen } from '../screens/devices-screen.tsx'
import { NewConversationScreen } from '../screens/new-conversation-screen.tsx'
import { AppBar } from './app-bar.tsx'
import { ConnectionBanner } from './connection-banner.tsx'
import { ConversationListPane } from './conversation-list-pane.tsx'
import { Welcome } from './welcome.tsx'

/** Only compliance officers load it. */
const AuditScreen = lazy(async () => ({ default: (await import('../audit/audit-screen.tsx')).AuditScreen }))

/** Everything a signed-in user sees: the bar, the connection, the list, and what is open beside it. */
export function Shell() {
  const { sotto } = useSession()
  const route = useLive(currentRoute)
  const { unread } = useLive(sotto.conversations)
  useTitle(unread)
  useOwnPresence()
  return (
    <div className={`shell shell-${layoutOf(route)}`}>
      <AppBar />
      <ConnectionBanner />
      <main className="shell-main">
        <ConversationListPane />
        <Detail route={route} />
      </main>
    </div>
  )
}

/** On a narrow screen either the list or what is open is shown; the audit trail takes the whole width. */
function layoutOf(route: Route): 'list' | 'detail' | 'wide' {
  if (route.page === 'conversations') return 'list'
  return route.page === 'audit' ? 'wide' : 'detail'
}

function Detail({ route }: { readonly route: Route }) {
  const { session } = useSession()
  switch (route.page) {
    case 'conversation':
      return (
        <ConversationScreen key={route.conversationId} conversationId={route.conversationId} people={route.people} />
      )
    case 'new':
      return <NewConversationScreen />
    case 'devices':
      return <DevicesScreen />
    case 'audit':
      if (session.user.role !== 'compliance-officer') return <Welcome />
      return (
        <Suspense fallback={<div className="pane page" aria-busy="true" />}>
          <AuditScreen />
        </Suspense>
      )
    default:
      return <Welcome />
  }
}

/** Others see whether someone is at this device. */
function useOwnPresence(): void {
  const { sotto } = useSession()
  const isVisible = usePageVisible()
  useEffect(() => sotto.presence.set(isVisible ? 'online' : 'away'), [sotto, isVisible])
}
