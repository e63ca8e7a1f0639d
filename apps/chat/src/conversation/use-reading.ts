import type { Conversation, ConversationSnapshot } from '@sotto/sdk'
import { useEffect, useRef, useState } from 'react'

/**
 * Marks as read what was in front of the user's eyes: the page is looked at and scrolled to its end.
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
  useEffect(() => {
    if (status !== 'ready') return
    if (unread > 0 && unreadBefore.current === 0 && !isWatched) setLineSeq(readSeq)
    unreadBefore.current = unread
    if (isWatched && unread > 0) conversation.markRead()
  }, [conversation, status, unread, readSeq, isWatched])
  return lineSeq
}
