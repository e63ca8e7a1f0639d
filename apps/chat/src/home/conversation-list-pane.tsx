import { useEffect, useMemo, useRef } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { currentRoute } from '../platform/navigation.ts'
import { renderRoute } from '../platform/route.ts'
import { useLive } from '../platform/use-live.ts'
import { useSession } from '../session/session-context.tsx'
import { PlusIcon } from '../ui/icons.tsx'
import { ConversationRow, rowId } from './conversation-row.tsx'
import { mayStartConversations } from './may.ts'

export function ConversationListPane() {
  const { t } = useLanguage()
  const { sotto, session } = useSession()
  const { items, status } = useLive(sotto.conversations)
  const route = useLive(currentRoute)
  const openId = route.page === 'conversation' ? route.conversationId : null
  // The heading of the page, unless something is open beside the list or in its place.
  const Heading = route.page === 'conversations' ? 'h1' : 'h2'
  useWatchPartners()
  useFocusBack(openId)
  return (
    <nav className="pane list-pane" aria-labelledby="list-heading">
      <div className="list-head">
        <Heading id="list-heading">{t('list.title')}</Heading>
        {mayStartConversations(session.user.role) ? (
          <a className="button" href={renderRoute({ page: 'new' })}>
            <PlusIcon />
            {t('list.new')}
          </a>
        ) : null}
      </div>
      {status === 'loading' && items.length === 0 ? <ListSkeleton /> : null}
      {status === 'ready' && items.length === 0 ? <p className="list-empty">{t('list.empty')}</p> : null}
      <ul className="list">
        {items.map((item) => (
          <ConversationRow key={item.conversationId} item={item} isOpen={item.conversationId === openId} />
        ))}
      </ul>
    </nav>
  )
}

function ListSkeleton() {
  const { t } = useLanguage()
  return (
    <div className="skeletons">
      <output className="visually-hidden">{t('list.loading')}</output>
      <span className="skeleton" />
      <span className="skeleton" />
      <span className="skeleton" />
    </div>
  )
}

/** Who closes a conversation is where she came from: on its line in the list. */
function useFocusBack(openId: string | null): void {
  const lastOpen = useRef(openId)
  useEffect(() => {
    const last = lastOpen.current
    lastOpen.current = openId
    if (openId === null && last !== null) document.getElementById(rowId(last))?.focus()
  }, [openId])
}

/** Presence is watched of the persons behind direct conversations, for the dots in the list. */
function useWatchPartners(): void {
  const { sotto } = useSession()
  const { items } = useLive(sotto.conversations)
  const partners = items.flatMap(({ summary: { counterpart } }) => (counterpart === null ? [] : [counterpart.userId]))
  const key = [...new Set(partners)].toSorted().join(' ')
  const userIds = useMemo(() => (key === '' ? [] : key.split(' ')), [key])
  useEffect(() => sotto.presence.watch(userIds), [sotto, userIds])
}
