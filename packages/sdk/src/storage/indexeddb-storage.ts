import type { Storage, Store, Write } from './storage.port.ts'

const DATABASE = 'sotto'
const RECORDS = 'records'

/**
 * Keeps records in the page's IndexedDB, shared by all tabs of the origin. Transactions ask for strict durability, so
 * that a message survives a power cut once `send` has resolved.
 *
 * The database may vanish at any time (eviction, "clear site data", a newer version of the page): the next use opens it
 * again, and a use that meets a closed connection is repeated once.
 */
export function indexedDbStorage(factory: IDBFactory = indexedDB): Storage {
  let opening: Promise<IDBDatabase> | undefined
  const database = (): Promise<IDBDatabase> => {
    opening ??= openDatabase(factory, () => (opening = undefined)).catch((error: unknown) => {
      opening = undefined
      throw error
    })
    return opening
  }
  async function use<T>(mode: IDBTransactionMode, run: (records: IDBObjectStore) => IDBRequest<T> | void): Promise<T> {
    try {
      return await transact(await database(), mode, run)
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== 'InvalidStateError') throw error
      opening = undefined
      return await transact(await database(), mode, run)
    }
  }
  return { shared: true, protectsAtRest: false, open: async (namespace) => createStore(namespace, use) }
}

type Use = <T>(mode: IDBTransactionMode, run: (records: IDBObjectStore) => IDBRequest<T> | void) => Promise<T>

function createStore(namespace: string, use: Use): Store {
  return {
    get: (key) => use<unknown>('readonly', (records) => records.get([namespace, key])),
    async list(prefix) {
      const range = IDBKeyRange.bound([namespace, prefix], [namespace, `${prefix}\uffff`])
      // Both in one transaction: what other tabs write meanwhile comes before it or after it.
      let keys: IDBRequest<IDBValidKey[]> | undefined
      const values = await use<unknown[]>('readonly', (records) => {
        keys = records.getAllKeys(range)
        return records.getAll(range)
      })
      return (keys?.result ?? []).map((key, index) => [(key as [string, string])[1], values[index]] as const)
    },
    async write(batch: readonly Write[]) {
      await use<undefined>('readwrite', (records) => {
        for (const { key, value } of batch) {
          if (value === undefined) records.delete([namespace, key])
          else records.put(value, [namespace, key])
        }
      })
    },
    async clear() {
      const everything = IDBKeyRange.bound([namespace, ''], [namespace, []])
      await use<undefined>('readwrite', (records) => records.delete(everything))
    },
    close: async () => {},
  }
}

function openDatabase(factory: IDBFactory, onGone: () => void): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = factory.open(DATABASE, 1)
    request.onupgradeneeded = () => request.result.createObjectStore(RECORDS)
    request.onerror = () => reject(request.error ?? new Error('IndexedDB cannot be opened'))
    request.onsuccess = () => {
      const database = request.result
      database.onclose = onGone
      // Another tab runs a newer version or deletes the database: holding on would block it.
      database.onversionchange = () => {
        database.close()
        onGone()
      }
      resolve(database)
    }
  })
}

/** Resolves when the transaction is complete, not when the request is: only then is it on the disk. */
function transact<T>(
  database: IDBDatabase,
  mode: IDBTransactionMode,
  run: (records: IDBObjectStore) => IDBRequest<T> | void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(RECORDS, mode, { durability: 'strict' })
    const request = run(transaction.objectStore(RECORDS))
    transaction.oncomplete = () => resolve(request?.result as T)
    transaction.onabort = () => reject(transaction.error ?? new Error('the transaction was aborted'))
  })
}
