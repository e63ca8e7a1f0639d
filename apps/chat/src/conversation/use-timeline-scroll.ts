import { useCallback, useEffect, useLayoutEffect, useRef, type RefObject } from 'react'
import type { TimelineRow } from './timeline-rows.ts'

/** As far from the end as this still counts as "at the end". */
const END_PX = 64
/** Older messages are asked for when the top is this near. */
const TOP_PX = 240

export interface TimelineScroll {
  readonly onScroll: () => void
  readonly jumpToEnd: () => void
}

export interface TimelineScrollOptions {
  readonly ref: RefObject<HTMLElement | null>
  readonly rows: readonly TimelineRow[]
  readonly onNearTop: () => void
  readonly onAtEnd: (isAtEnd: boolean) => void
}

/** Keeps the place: at the end while the user is there, and still when older messages come in above. */
export function useTimelineScroll({ ref, rows, onNearTop, onAtEnd }: TimelineScrollOptions): TimelineScroll {
  const place = useRef({ isOpened: false, isAtEnd: true, height: 0, topKey: '', lastKey: '' })

  const jumpToEnd = useCallback(() => {
    if (ref.current !== null) ref.current.scrollTop = ref.current.scrollHeight
  }, [ref])

  const look = useCallback(() => {
    const box = ref.current
    if (box === null || !place.current.isOpened) return
    place.current.isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < END_PX
    onAtEnd(place.current.isAtEnd)
  }, [ref, onAtEnd])

  useLayoutEffect(() => {
    const box = ref.current
    if (box === null || rows.length === 0) return
    const { isOpened, topKey, lastKey, height } = place.current
    const last = rows.at(-1)
    const hasSent = last?.type === 'message' && last.item.type === 'pending' && last.key !== lastKey
    if (!isOpened) open(box)
    else if (place.current.isAtEnd || hasSent) jumpToEnd()
    else if (firstKey(rows) !== topKey) box.scrollTop += box.scrollHeight - height
    place.current = {
      ...place.current,
      isOpened: true,
      height: box.scrollHeight,
      topKey: firstKey(rows),
      lastKey: last?.key ?? '',
    }
    look()
  }, [ref, rows, jumpToEnd, look])

  // A keyboard that opens, or a composer that grows, leaves less room for the timeline.
  useEffect(() => {
    const box = ref.current
    if (box === null) return
    const observer = new ResizeObserver(() => {
      if (place.current.isAtEnd) jumpToEnd()
    })
    observer.observe(box)
    return () => observer.disconnect()
  }, [ref, jumpToEnd])

  const onScroll = useCallback(() => {
    look()
    if (ref.current !== null && ref.current.scrollTop < TOP_PX) onNearTop()
  }, [ref, look, onNearTop])

  return { onScroll, jumpToEnd }
}

/** A conversation opens where the user stopped reading, or at its end. */
function open(box: HTMLElement): void {
  const line = box.querySelector<HTMLElement>('.unread-line')
  box.scrollTop = line === null ? box.scrollHeight : line.offsetTop - box.clientHeight / 3
}

/** The first message: the day above it changes its key when older ones of the same day come in. */
function firstKey(rows: readonly TimelineRow[]): string {
  return rows.find(({ type }) => type === 'message' || type === 'note')?.key ?? ''
}
