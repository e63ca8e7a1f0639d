/** A map that forgets what was used longest ago once it is full. */
export interface BoundedMap<Value> {
  get(key: string): Value | undefined
  set(key: string, value: Value): void
  delete(key: string): void
  deleteWhere(matches: (value: Value, key: string) => boolean): void
  readonly size: number
}

export function createBoundedMap<Value>(sizeMax: number): BoundedMap<Value> {
  // A Map iterates in insertion order: re-inserting on use keeps the oldest in front.
  const entries = new Map<string, Value>()
  return {
    get(key) {
      const value = entries.get(key)
      if (value === undefined) return undefined
      // While half of it is empty nothing is near being forgotten, and moving on every use would cost more than looking up.
      if (entries.size * 2 < sizeMax) return value
      entries.delete(key)
      entries.set(key, value)
      return value
    },
    set(key, value) {
      entries.delete(key)
      entries.set(key, value)
      if (entries.size > sizeMax) entries.delete(entries.keys().next().value!)
    },
    delete: (key) => void entries.delete(key),
    deleteWhere(matches) {
      for (const [key, value] of entries) if (matches(value, key)) entries.delete(key)
    },
    get size() {
      return entries.size
    },
  }
}
