import type { Conversation, TimelineItem } from '@sotto/sdk'
import { memo, useEffect } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { useLive } from '../platform/use-live.ts'
import { useNameOf } from '../session/names.ts'
import { useSession } from '../session/session-context.tsx'
import { Avatar } from '../ui/avatar.tsx'
import { contentOf, textContent } from './entry-text.ts'
import { MessageStatus } from './message-status.tsx'
import { MessageText } from './message-text.tsx'
import { PendingProblem } from './pending-problem.tsx'
import { instantOf } from './timeline-rows.ts'

export interface MessageViewProps {
  readonly item: TimelineItem
  readonly mine: boolean
  readonly startsGroup: boolean
  readonly conversation: Conversation
  readonly isGroup: boolean
}

export const MessageView = memo(function MessageView(props: MessageViewProps) {
  const { item, mine, startsGroup, conversation, isGroup } = props
  const { t, formatTime } = useLanguage()
  const nameOf = useNameOf()
  const content =
    item.type === 'entry' ? contentOf(t, item.entry, nameOf) : textContent((item.payload as { text?: unknown }).text)
  const at = instantOf(item)
  const priority = item.type === 'entry' ? item.entry.header.priority : item.header.priority
  return (
    <li className={classesOf(props)}>
      {mine || item.type === 'pending' ? (
        <span className="visually-hidden">{t('message.byYou')}</span>
      ) : (
        <Sender userId={item.entry.sender.userId} isShown={isGroup && startsGroup} isGroup={isGroup} />
      )}
      <div className="bubble">
        {priority === undefined || priority === 'routine' ? null : (
          <p className="bubble-priority">{t(`priority.${priority}`)}</p>
        )}
        {content.type === 'text' || content.type === 'system' ? (
          <MessageText text={content.text} />
        ) : (
          <p className="bubble-text bubble-placeholder">{t(`message.${content.type}`)}</p>
        )}
        <p className="bubble-meta">
          <time dateTime={at}>{formatTime(at)}</time>
          <MessageStatus item={item} conversation={conversation} isGroup={isGroup} />
        </p>
      </div>
      {item.type === 'pending' ? <PendingProblem item={item} conversation={conversation} /> : null}
    </li>
  )
})

function classesOf({ item, mine, startsGroup }: MessageViewProps): string {
  const state = item.type === 'pending' ? `message-${item.state}` : ''
  return ['message', mine ? 'message-mine' : 'message-theirs', startsGroup ? 'message-first' : '', state].join(' ')
}

interface SenderProps {
  readonly userId: string
  readonly isShown: boolean
  readonly isGroup: boolean
}

/** Seen once for each group of messages; heard before each message. */
function Sender({ userId, isShown, isGroup }: SenderProps) {
  const { t } = useLanguage()
  const { people } = useSession()
  const nameOf = useNameOf()
  const person = useLive(people).byId.get(userId)
  const isUnknown = person === undefined
  useEffect(() => {
    if (isUnknown) people.wantPerson(userId)
  }, [people, userId, isUnknown])
  const name = nameOf(userId)
  if (!isShown) return <span className="visually-hidden">{t('message.by', { name })}</span>
  return (
    <p className="message-sender">
      {isGroup ? <Avatar id={userId} name={name} /> : null}
      <bdi className="clip">{name}</bdi>
      {person === undefined ? null : <span className="hint">{t(`role.${person.role}`)}</span>}
    </p>
  )
}
