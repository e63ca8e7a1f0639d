import type { Conversation, ConversationSnapshot } from '@sotto/sdk'
import { useEffect, useRef, useState } from 'react'

/**
 * Marks as read what was in front of the user's eyes: the page is looked at and scrolled to its end. What is known to
 * exist and has not been loaded is not on the screen, and has not been read.
 *
 * @returns the position below which the unread line stands, from the moment when there was something unread; null: none
 */
export function useReading(
  conversation: Conversation,
  snapshot: ConversationSnapshot,
  isVisible: boolean,
  isAtEnd: boolean,
): number | null {
  const { status, unread, readSeq, items } = snapshot
  const [lineSeq, setLineSeq] = useState(unread > 0 ? readSeq : null)
  const unreadBefore = useRef(unread)
  const isWatched = isVisible && isAtEnd && items.length > 0
  const shownSeq = items.findLast((item) => item.type === 'entry')?.entry.seq ?? 0
  useEffect(() => {
    if (status !== 'ready') return
    if (unread > 0 && unreadBefore.current === 0 && !isWatched) setLineSeq(readSeq)
    unreadBefore.current = unread
    if (isWatched && unread > 0 && shownSeq > readSeq) conversation.markRead(shownSeq)
  }, [conversation, status, unread, readSeq, shownSeq, isWatched])
  return lineSeq
}
