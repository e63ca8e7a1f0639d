import { systemClock, type EntryItem, type TimelineItem } from '@sotto/sdk'
import { useEffect, useEffectEvent, useRef, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { useNameOf } from '../session/names.ts'
import { contentOf } from './entry-text.ts'

export interface AnnouncerProps {
  readonly items: readonly TimelineItem[]
  /** Not while a gap is being filled: what is fetched then is not news. */
  readonly isReady: boolean
}

/** Messages that come within this time are announced together. */
const TOGETHER_MS = 1_000
const SPOKEN_CHARACTERS = 200

/** Tells a screen reader of new messages when it has finished its sentence; several at once are only counted. */
export function Announcer({ items, isReady }: AnnouncerProps) {
  const { t } = useLanguage()
  const nameOf = useNameOf()
  const [text, setText] = useState('')
  const spokenSeq = useRef<number | null>(null)
  const lastSeq = items.findLast((item) => item.type === 'entry')?.entry.seq ?? null

  const announce = useEffectEvent((after: number) => {
    const news = items.filter((item) => item.type === 'entry').filter((item) => isNews(item, after))
    const [only] = news
    if (only === undefined) return
    if (news.length > 1) return setText(t('announce.several', { count: news.length }))
    const content = contentOf(t, only.entry, nameOf)
    const words = content.type === 'text' || content.type === 'system' ? content.text : t(`message.${content.type}`)
    setText(t('announce.one', { name: nameOf(only.entry.sender.userId), text: words.slice(0, SPOKEN_CHARACTERS) }))
  })

  useEffect(() => {
    const after = spokenSeq.current
    if (lastSeq === null || after === lastSeq) return
    if (after === null || !isReady) {
      spokenSeq.current = lastSeq
      return
    }
    // A newer message begins the wait anew.
    return systemClock.setTimer(TOGETHER_MS, () => {
      spokenSeq.current = lastSeq
      announce(after)
    })
  }, [lastSeq, isReady])

  return (
    <p className="visually-hidden" role="log" aria-live="polite" aria-atomic="true">
      {text}
    </p>
  )
}

function isNews(item: EntryItem, after: number): boolean {
  return !item.mine && item.entry.seq > after && item.entry.header.counts
}
