import { useEffect, useMemo } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { renderRoute } from '../platform/route.ts'
import { useLive } from '../platform/use-live.ts'
import { useSession } from '../session/session-context.tsx'
import { Announcer } from './announcer.tsx'
import { Composer, COMPOSER_ID } from './composer.tsx'
import { ConversationHeader } from './conversation-header.tsx'
import { PeoplePanel } from './people-panel.tsx'
import { Timeline } from './timeline.tsx'
import { TypingLine } from './typing-line.tsx'

export interface ConversationScreenProps {
  readonly conversationId: string
  /** Whether the panel of people is open. */
  readonly people: boolean
}

export function ConversationScreen({ conversationId, people: isPeopleOpen }: ConversationScreenProps) {
  const { t } = useLanguage()
  const { sotto, people } = useSession()
  const conversation = useMemo(() => sotto.conversation(conversationId), [sotto, conversationId])
  const snapshot = useLive(conversation)
  const { status, summary, members } = snapshot
  const isKnown = summary !== null && status === 'ready'

  // Whom a direct conversation is with stands in its summary.
  const wantsMembers = isKnown && (summary.kind === 'group' || isPeopleOpen)

  useEffect(() => {
    // The names; whoever fails to load them sees ids of nobody, and they are asked for again on the next change.
    if (wantsMembers) void conversation.members().catch(() => {})
  }, [conversation, wantsMembers])
  useEffect(() => {
    if (members !== null) people.learn(conversationId, members)
  }, [people, conversationId, members])

  useFocusOnOpen(isKnown)

  if (status === 'unknown' || status === 'removed') return <Missing isRemoved={status === 'removed'} />
  if (summary === null) {
    return (
      <section className="pane conversation" aria-busy="true" aria-label={t('conversation.loading')}>
        <p className="pane-note">{t('conversation.loading')}</p>
      </section>
    )
  }
  return (
    <>
      <section className="pane conversation" aria-labelledby="conversation-name">
        <ConversationHeader summary={summary} isPeopleOpen={isPeopleOpen} />
        {summary.notForEmergencies ? (
          <p className="emergency" role="note">
            {t('conversation.notForEmergencies')}
          </p>
        ) : null}
        <Timeline conversation={conversation} snapshot={snapshot} />
        <TypingLine userIds={snapshot.typing} />
        <Composer conversation={conversation} summary={summary} can={snapshot.can} />
        <Announcer items={snapshot.items} isReady={!snapshot.catchingUp} />
      </section>
      {isPeopleOpen ? <PeoplePanel conversation={conversation} summary={summary} snapshot={snapshot} /> : null}
    </>
  )
}

/**
 * Opening a conversation leads to its composer, whose name says whom one writes to; where a keyboard would cover half of
 * the screen, or where nothing can be written, to the heading.
 */
function useFocusOnOpen(isKnown: boolean): void {
  useEffect(() => {
    if (!isKnown) return
    const composer = matchMedia('(pointer: coarse)').matches ? null : document.getElementById(COMPOSER_ID)
    const target = composer ?? document.getElementById('conversation-name')
    target?.focus({ preventScroll: true })
  }, [isKnown])
}

/** The conversation is not the user's to see, or not any more: it says so and leads back. */
function Missing({ isRemoved }: { readonly isRemoved: boolean }) {
  const { t } = useLanguage()
  return (
    <section className="pane page" aria-labelledby="missing-heading">
      <h1 id="missing-heading">{isRemoved ? t('conversation.removed') : t('conversation.missing')}</h1>
      <p>{isRemoved ? t('conversation.removedText') : t('conversation.missingText')}</p>
      <p>
        <a className="button" href={renderRoute({ page: 'conversations' })}>
          {t('conversation.back')}
        </a>
      </p>
    </section>
  )
}
