import type { Storage, Store, Write } from './storage.port.ts'

/**
 * Keeps everything in memory: gone with the process. For tests, for servers that keep their own outbox, and for shared
 * workstations where nothing may stay behind.
 */
export function memoryStorage(): Storage {
  const namespaces = new Map<string, Map<string, unknown>>()
  return {
    shared: false,
    protectsAtRest: true,
    open: async (namespace) => {
      const records = namespaces.get(namespace) ?? new Map<string, unknown>()
      namespaces.set(namespace, records)
      return createMapStore(records)
    },
  }
}

/** A store over a map. Values are copied in and out, as every other store does. */
export function createMapStore(records: Map<string, unknown>): Store {
  return {
    get: async (key) => structuredClone(records.get(key)),
    list: async (prefix) => listRecords(records, prefix),
    write: async (batch) => applyBatch(records, structuredClone(batch)),
    clear: async () => records.clear(),
    close: async () => {},
  }
}

export function applyBatch(records: Map<string, unknown>, batch: readonly Write[]): void {
  for (const { key, value } of batch) {
    if (value === undefined) records.delete(key)
    else records.set(key, value)
  }
}

export function listRecords(
  records: ReadonlyMap<string, unknown>,
  prefix: string,
): readonly (readonly [string, unknown])[] {
  const found = [...records].filter(([key]) => key.startsWith(prefix))
  return structuredClone(found.toSorted(([left], [right]) => (left < right ? -1 : 1)))
}
