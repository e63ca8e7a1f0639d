/**
 * Hints between those who act and those who deliver. A hint may be lost at any moment and nothing breaks: whoever misses
 * one finds out from the database. It carries ids and, when small, a row as it stands at rest: ciphertext, never plaintext.
 */
export interface Topic<Hint> {
  readonly name: string
  readonly hint?: Hint
}

export function topic<Hint>(name: string): Topic<Hint> {
  return { name }
}

export interface Bus {
  /** Call it after the commit. Handlers run in the order of publishing; one that throws does not stop the others. */
  publish<Hint>(topic: Topic<Hint>, hint: Hint): void
  /** @returns how to stop listening */
  subscribe<Hint>(topic: Topic<Hint>, handler: (hint: Hint) => void): () => void
}

/** The bus of a single process. */
export function createInProcessBus(onError: (error: unknown) => void): Bus {
  const handlers = new Map<string, Set<(hint: never) => void>>()
  return {
    publish(topic, hint) {
      for (const handler of handlers.get(topic.name) ?? []) {
        try {
          handler(hint as never)
        } catch (error) {
          onError(error)
        }
      }
    },
    subscribe(topic, handler) {
      const set = handlers.get(topic.name) ?? new Set()
      handlers.set(topic.name, set)
      set.add(handler as (hint: never) => void)
      return () => void set.delete(handler as (hint: never) => void)
    },
  }
}
