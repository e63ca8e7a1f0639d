import type { ConversationListItem } from '@sotto/sdk'
import { memo } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import type { Translator } from '../i18n/translator.ts'
import { systemClock } from '@sotto/sdk'
import { daysBetween } from '../i18n/translator.ts'
import { renderRoute } from '../platform/route.ts'
import { conversationName, useMembers, useNameOf } from '../session/names.ts'
import { useSession } from '../session/session-context.tsx'
import { Avatar, PresenceDot } from '../ui/avatar.tsx'
import { previewOf } from '../conversation/entry-text.ts'

export interface ConversationRowProps {
  readonly item: ConversationListItem
  readonly isOpen: boolean
}

/** One conversation in the list: who, the last message, when, and how many are unread. */
export const ConversationRow = memo(function ConversationRow({ item, isOpen }: ConversationRowProps) {
  const language = useLanguage()
  const { t } = language
  const { session } = useSession()
  const { summary, unread } = item
  const members = useMembers(summary)
  const name = conversationName(language, summary, members, session.userId)
  const partner = summary.counterpart
  return (
    <li>
      <a
        id={rowId(item.conversationId)}
        className={unread > 0 ? 'row row-unread' : 'row'}
        href={renderRoute({ page: 'conversation', conversationId: item.conversationId, people: false })}
        aria-current={isOpen ? 'true' : undefined}
      >
        <span className="row-avatar">
          <Avatar id={partner?.userId ?? item.conversationId} name={name} />
          {partner === null ? null : <PresenceDot userId={partner.userId} />}
        </span>
        <bdi className="row-name clip">{name}</bdi>
        {summary.lastEntryAt === null ? null : (
          <time className="row-time" dateTime={summary.lastEntryAt}>
            {shortTime(language, summary.lastEntryAt)}
          </time>
        )}
        <span className="row-last clip">
          <RowPreview item={item} />
        </span>
        {unread > 0 ? (
          <span className="badge">
            <span aria-hidden="true">{unread > 99 ? '99+' : unread}</span>
            <span className="visually-hidden">{t('list.unread', { count: unread })}</span>
          </span>
        ) : null}
      </a>
    </li>
  )
})

export function rowId(conversationId: string): string {
  return `row-${conversationId}`
}

function RowPreview({ item }: { readonly item: ConversationListItem }) {
  const { t } = useLanguage()
  const { session } = useSession()
  const nameOf = useNameOf()
  const { summary, typing, failed, waiting } = item
  if (failed > 0) return <span className="text-danger">{t('list.failed', { count: failed })}</span>
  if (waiting > 0) return <>{t('list.waiting', { count: waiting })}</>
  if (typing.length > 0) return <span className="text-accent">{t('list.typing')}</span>
  const { lastEntry } = summary
  if (summary.closed) return <>{t('list.closed')}</>
  if (lastEntry === null) return <>{t('list.noMessages')}</>
  // In a direct conversation the other one's name stands above already.
  const { userId } = lastEntry.sender
  const who = summary.kind === 'group' || userId === session.userId ? nameOf(userId) : null
  return <bdi>{previewOf(t, lastEntry, nameOf, who)}</bdi>
}

function shortTime({ t, formatTime, formatDate }: Translator, instant: string): string {
  const days = daysBetween(new Date(instant), new Date(systemClock.now()))
  if (days === 0) return formatTime(instant)
  return days === 1 ? t('day.yesterday') : formatDate(instant)
}
