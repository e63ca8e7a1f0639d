import type { Conversation, ConversationSnapshot } from '@sotto/sdk'
import { useCallback, useMemo, useRef, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { usePageVisible } from '../platform/use-page-visible.ts'
import { problemText } from '../session/problem-text.ts'
import { DownIcon } from '../ui/icons.tsx'
import { TimelineRowView } from './timeline-row-view.tsx'
import { buildRows } from './timeline-rows.ts'
import { useReading } from './use-reading.ts'
import { useTimelineScroll } from './use-timeline-scroll.ts'

export interface TimelineProps {
  readonly conversation: Conversation
  readonly snapshot: ConversationSnapshot
}

/** The log with what waits below it. */
export function Timeline({ conversation, snapshot }: TimelineProps) {
  const { t } = useLanguage()
  const { items, hasOlder, loadingOlder, problem, unread } = snapshot
  const [isAtEnd, setAtEnd] = useState(false)
  const lineSeq = useReading(conversation, snapshot, usePageVisible(), isAtEnd)
  const rows = useMemo(() => buildRows(items, lineSeq), [items, lineSeq])
  const mayLoad = hasOlder && !loadingOlder && problem === null
  const onNearTop = useCallback(() => {
    if (mayLoad) conversation.loadOlder()
  }, [conversation, mayLoad])
  const box = useRef<HTMLElement>(null)
  const scroll = useTimelineScroll({ ref: box, rows, onNearTop, onAtEnd: setAtEnd })
  const isGroup = snapshot.summary?.kind === 'group'
  return (
    <div className="timeline-place">
      <section
        className="timeline"
        ref={box}
        onScroll={scroll.onScroll}
        aria-label={t('timeline.label')}
        aria-busy={snapshot.catchingUp}
        // A region that scrolls takes the focus, so that the arrow keys scroll it (WCAG 2.1.1).
        tabIndex={0}
      >
        {hasOlder ? (
          <p className="timeline-older">
            <button type="button" className="button" disabled={loadingOlder} onClick={conversation.loadOlder}>
              {loadingOlder ? t('timeline.loadingOlder') : t('timeline.loadOlder')}
            </button>
            {problem === null ? null : <span className="text-danger">{problemText(t, problem)}</span>}
          </p>
        ) : null}
        {items.length === 0 && !hasOlder ? <p className="timeline-empty">{t('timeline.empty')}</p> : null}
        <ol className="rows">
          {rows.map((row) => (
            <TimelineRowView key={row.key} row={row} conversation={conversation} isGroup={isGroup} />
          ))}
        </ol>
      </section>
      {isAtEnd || rows.length === 0 ? null : (
        <button type="button" className="button jump" onClick={scroll.jumpToEnd}>
          <DownIcon />
          {unread > 0 && lineSeq !== null ? t('timeline.newBelow', { count: unread }) : t('timeline.toEnd')}
        </button>
      )}
    </div>
  )
}
