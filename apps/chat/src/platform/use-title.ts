import { useEffect } from 'react'

/** The product's name and a number: titles are shown on task bars and kept in histories. */
export function useTitle(unread: number): void {
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) Sotto` : 'Sotto'
  }, [unread])
}
