import type { Live } from '../src/platform/live.ts'

/** Waits until a live object's snapshot fits, woken by its own changes. @throws after `timeoutMs` with the last snapshot */
export function until<S>(live: Live<S>, fits: (snapshot: S) => boolean, timeoutMs = 10_000): Promise<S> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      unsubscribe()
      reject(new Error(`never came to be: ${JSON.stringify(live.getSnapshot()).slice(0, 2_000)}`))
    }, timeoutMs)
    const look = (): void => {
      if (!fits(live.getSnapshot())) return
      clearTimeout(timer)
      unsubscribe()
      resolve(live.getSnapshot())
    }
    const unsubscribe = live.subscribe(look)
    queueMicrotask(look)
  })
}

/** The texts of a conversation's timeline, oldest first. */
export function texts(snapshot: { readonly items: readonly TextItem[] }): readonly string[] {
  return snapshot.items.flatMap((item) => {
    const payload = 'entry' in item ? item.entry.payload : item.payload
    return payload.type === 'text' ? [payload.text ?? ''] : []
  })
}

type TextPayload = { readonly type: string; readonly text?: string }
type TextItem = { readonly entry: { readonly payload: TextPayload } } | { readonly payload: TextPayload }
