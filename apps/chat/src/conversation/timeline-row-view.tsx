import type { Conversation, EntryItem } from '@sotto/sdk'
import { systemClock } from '@sotto/sdk'
import { useLanguage } from '../i18n/language.tsx'
import { useNameOf } from '../session/names.ts'
import { contentOf } from './entry-text.ts'
import { MessageView } from './message-view.tsx'
import type { TimelineRow } from './timeline-rows.ts'

export interface TimelineRowViewProps {
  readonly row: TimelineRow
  readonly conversation: Conversation
  readonly isGroup: boolean
}

export function TimelineRowView({ row, conversation, isGroup }: TimelineRowViewProps) {
  const { t, formatDay } = useLanguage()
  switch (row.type) {
    case 'day':
      return (
        <li className="day-line">
          <time dateTime={row.at}>{formatDay(row.at, systemClock.now())}</time>
        </li>
      )
    case 'unread':
      return <li className="unread-line">{t('timeline.unreadLine')}</li>
    case 'note':
      return <NoteView item={row.item} />
    case 'message':
      return (
        <MessageView
          item={row.item}
          mine={row.mine}
          startsGroup={row.startsGroup}
          conversation={conversation}
          isGroup={isGroup}
        />
      )
  }
}

/** What happened to the conversation itself: who came, who left, that it was closed. */
function NoteView({ item }: { readonly item: EntryItem }) {
  const { t, formatTime } = useLanguage()
  const content = contentOf(t, item.entry, useNameOf())
  const text = content.type === 'system' || content.type === 'text' ? content.text : t(`message.${content.type}`)
  return (
    <li className="note-line">
      {text} · <time dateTime={item.entry.at}>{formatTime(item.entry.at)}</time>
    </li>
  )
}
