/**
 * One after the other for each key, keys beside each other. Items that follow one another with nothing between them are
 * worked on together.
 */
export interface Turns<Item> {
  /** Runs when everything before it is done. What it throws goes to `onError`, and the next one has its turn. */
  take(key: string, fn: () => Promise<void>): void
  /** Runs with all items that have joined until its turn comes. */
  join(key: string, item: Item, run: (items: readonly Item[]) => Promise<void>): void
}

export function createTurns<Item>(onError: (error: unknown, key: string) => void): Turns<Item> {
  const last = new Map<string, Promise<void>>()
  /** Those at the end of their queue, as long as nothing else stands behind them. */
  const joined = new Map<string, Item[]>()

  function take(key: string, fn: () => Promise<void>): void {
    joined.delete(key)
    const turn = (last.get(key) ?? Promise.resolve()).then(fn).catch((error: unknown) => onError(error, key))
    last.set(key, turn)
    void turn.then(() => last.get(key) === turn && last.delete(key))
  }

  return {
    take,
    join(key, item, run) {
      const before = joined.get(key)
      if (before !== undefined) return void before.push(item)
      const items = [item]
      take(key, () => {
        if (joined.get(key) === items) joined.delete(key)
        return run(items)
      })
      joined.set(key, items)
    },
  }
}
