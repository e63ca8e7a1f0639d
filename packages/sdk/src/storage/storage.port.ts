/** One change of a batch. `value` is plain JSON data; `undefined` removes the key. */
export interface Write {
  readonly key: string
  readonly value: unknown
}

/**
 * What one user of one server keeps on this device: the outbox, and what the sync token stands for.
 *
 * Durability: a `write` is on the disk when its promise resolves. Consistency: a batch happens whole or not at all.
 * Concurrency: several tabs or tasks may share a store; each batch stands alone. Who retries: the caller; a `write` that
 * failed may have happened, so batches are idempotent.
 */
export interface Store {
  get(key: string): Promise<unknown>
  /** Every record whose key begins with `prefix`, in the order of the keys. */
  list(prefix: string): Promise<readonly (readonly [key: string, value: unknown])[]>
  write(batch: readonly Write[]): Promise<void>
  /** Removes everything of this namespace. */
  clear(): Promise<void>
  close(): Promise<void>
}

/** Where stores are kept. A namespace is one (server, user) pair; two never see each other's records. */
export interface Storage {
  open(namespace: string): Promise<Store>
  /** Whether other tabs of the page see the same records. Then only one of them sends. */
  readonly shared: boolean
  /**
   * Whether what is stored cannot be read from the device's disk. Conversation titles and last messages are cached only
   * here; elsewhere only the outbox is kept, because a message that was promised to be sent may not be lost.
   */
  readonly protectsAtRest: boolean
}
