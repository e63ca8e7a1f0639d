/**
 * Something that changes and can be watched, made for React's `useSyncExternalStore(live.subscribe, live.getSnapshot)`.
 * Both functions are bound. A snapshot is immutable, and the same object until something in it changes.
 */
export interface Live<Snapshot> {
  getSnapshot(): Snapshot
  /** Calls `listener` after every change. @returns ends the subscription */
  subscribe(listener: () => void): () => void
}

/** The listeners of one live object. */
export interface Listeners {
  subscribe(listener: () => void): () => void
  notify(): void
  readonly count: number
}

export interface ListenersOptions {
  /** Called when the first listener comes and when the last one has gone. */
  readonly onWatched?: (watched: boolean) => void
}

/** A listener that throws harms nobody but itself: its error is reported after all others were called. */
export function createListeners(options: ListenersOptions = {}): Listeners {
  const listeners = new Set<{ readonly call: () => void }>()
  return {
    get count() {
      return listeners.size
    },
    subscribe(listener) {
      const entry = { call: listener }
      listeners.add(entry)
      if (listeners.size === 1) options.onWatched?.(true)
      return () => {
        if (listeners.delete(entry) && listeners.size === 0) options.onWatched?.(false)
      }
    },
    notify() {
      for (const { call } of Array.from(listeners)) {
        try {
          call()
        } catch (error) {
          queueMicrotask(() => {
            throw error
          })
        }
      }
    },
  }
}
