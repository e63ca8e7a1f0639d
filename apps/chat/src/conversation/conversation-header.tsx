import type { ConversationSummary } from '@sotto/sdk'
import { useEffect, useRef } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { navigate } from '../platform/navigation.ts'
import { renderRoute } from '../platform/route.ts'
import { useLive } from '../platform/use-live.ts'
import { conversationName, useMembers, useNameOf } from '../session/names.ts'
import { useSession } from '../session/session-context.tsx'
import { Avatar, PresenceDot } from '../ui/avatar.tsx'
import { BackIcon, PeopleIcon } from '../ui/icons.tsx'

export interface ConversationHeaderProps {
  readonly summary: ConversationSummary
  readonly isPeopleOpen: boolean
}

export function ConversationHeader({ summary, isPeopleOpen }: ConversationHeaderProps) {
  const language = useLanguage()
  const { t } = language
  const { session } = useSession()
  const peopleButton = useRef<HTMLButtonElement>(null)
  const wasOpen = useRef(isPeopleOpen)
  const members = useMembers(summary)
  const name = conversationName(language, summary, members, session.userId)
  const { conversationId } = summary
  const partner = summary.counterpart

  // Who closes the panel is back where she opened it.
  useEffect(() => {
    if (wasOpen.current && !isPeopleOpen) peopleButton.current?.focus()
    wasOpen.current = isPeopleOpen
  }, [isPeopleOpen])

  return (
    <header className="conversation-header">
      <a className="button button-icon back-link" href={renderRoute({ page: 'conversations' })}>
        <BackIcon />
        <span className="visually-hidden">{t('conversation.back')}</span>
      </a>
      <span className="row-avatar">
        <Avatar id={partner?.userId ?? conversationId} name={name} />
        {partner === null ? null : <PresenceDot userId={partner.userId} />}
      </span>
      <div className="conversation-title">
        <h1 id="conversation-name" tabIndex={-1} className="clip">
          <bdi>{name}</bdi>
        </h1>
        <p className="hint clip">
          {partner === null ? (
            t('conversation.people', { count: summary.memberCount })
          ) : (
            <PartnerLine userId={partner.userId} role={t(`role.${partner.role}`)} />
          )}
          <About summary={summary} partnerId={partner?.userId} />
        </p>
      </div>
      <button
        ref={peopleButton}
        type="button"
        className="button button-icon"
        aria-expanded={isPeopleOpen}
        onClick={() => navigate({ page: 'conversation', conversationId, people: !isPeopleOpen })}
      >
        <PeopleIcon />
        <span className="visually-hidden">{t('people.title')}</span>
      </button>
    </header>
  )
}

function PartnerLine({ userId, role }: { readonly userId: string; readonly role: string }) {
  const { t } = useLanguage()
  const { sotto } = useSession()
  const state = useLive(sotto.presence).get(userId as never)
  return <>{state === undefined ? role : `${role} · ${t(`presence.${state}`)}`}</>
}

/** Which patient the conversation is about, unless that is the person one talks to. */
function About({
  summary: { subjectUserId },
  partnerId,
}: {
  readonly summary: ConversationSummary
  readonly partnerId: string | undefined
}) {
  const { t } = useLanguage()
  const { people, session } = useSession()
  const nameOf = useNameOf()
  const isShown = subjectUserId !== null && subjectUserId !== partnerId && subjectUserId !== session.userId
  useEffect(() => {
    if (isShown && subjectUserId !== null) people.wantPerson(subjectUserId)
  }, [people, isShown, subjectUserId])
  if (!isShown || subjectUserId === null) return null
  return <> · {t('conversation.about', { name: nameOf(subjectUserId) })}</>
}
