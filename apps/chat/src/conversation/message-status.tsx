import type { Conversation, TimelineItem } from '@sotto/sdk'
import { useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import type { MessageKey } from '../i18n/translator.ts'
import { useLive } from '../platform/use-live.ts'
import { useNameOf } from '../session/names.ts'
import { AlertIcon, CheckIcon, ClockIcon, DoubleCheckIcon } from '../ui/icons.tsx'

export interface MessageStatusProps {
  readonly item: TimelineItem
  readonly conversation: Conversation
  readonly isGroup: boolean
}

type Status = 'waiting' | 'sending' | 'failed' | 'sent' | 'delivered' | 'read'

const icons = {
  waiting: ClockIcon,
  sending: ClockIcon,
  failed: AlertIcon,
  sent: CheckIcon,
  delivered: DoubleCheckIcon,
  read: DoubleCheckIcon,
} as const

/** How far a message of the user's own has come, in words and with a sign. In a group it opens to the names. */
export function MessageStatus({ item, conversation, isGroup }: MessageStatusProps) {
  const { t } = useLanguage()
  const [isOpen, setOpen] = useState(false)
  const status: Status | null = item.type === 'pending' ? item.state : item.delivery
  if (status === null) return null
  const Icon = icons[status]
  const label = (
    <>
      <Icon />
      {t(`status.${status}` satisfies MessageKey)}
    </>
  )
  if (!isGroup || item.type === 'pending') return <span className={`status status-${status}`}>{label}</span>
  return (
    <>
      <button
        type="button"
        className={`status status-button status-${status}`}
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        {label}
      </button>
      {isOpen ? <Receipts seq={item.entry.seq} conversation={conversation} /> : null}
    </>
  )
}

function Receipts({ seq, conversation }: { readonly seq: number; readonly conversation: Conversation }) {
  const { t, formatList } = useLanguage()
  const nameOf = useNameOf()
  useLive(conversation)
  const { deliveredTo, readBy } = conversation.receipts(seq)
  const delivered = deliveredTo.filter((userId) => !readBy.includes(userId))
  const line = (userIds: readonly string[]): string => formatList(userIds.map(nameOf))
  return (
    <span className="receipts">
      {readBy.length > 0 ? <span>{t('status.readBy', { names: line(readBy) })}</span> : null}
      {delivered.length > 0 ? <span>{t('status.deliveredTo', { names: line(delivered) })}</span> : null}
      {deliveredTo.length === 0 ? <span>{t('status.nobodyYet')}</span> : null}
    </span>
  )
}
