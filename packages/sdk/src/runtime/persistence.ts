import type { Conversation, ConversationId, EntryId } from '@sotto/protocol'
import type { Storage, Store, Write } from '../storage/storage.port.ts'
import type { OutboxRecord, Restored } from '../sync/state.ts'

/** What the SDK keeps on the device for one user of one server. */
export interface Persistence {
  load(): Promise<Restored>
  loadOutbox(): Promise<readonly OutboxRecord[]>
  /** @throws when the record could not be stored: then the message may not be promised */
  putOutbox(record: OutboxRecord): Promise<void>
  deleteOutbox(record: Pick<OutboxRecord, 'order' | 'entryId'>): Promise<void>
  /** Keeps a sync token together with the summaries that it stands for, or neither. */
  remember(page: {
    readonly token: string
    readonly changed: readonly Conversation[]
    readonly removed: readonly ConversationId[]
    readonly anew: boolean
  }): Promise<void>
  clear(): Promise<void>
  close(): Promise<void>
}

const TOKEN = 'sync/token'
const CONVERSATION = 'sync/conversation/'
const OUTBOX = 'outbox/'

export async function openPersistence(storage: Storage, url: string, userId: string): Promise<Persistence> {
  const store = await storage.open(`${url} ${userId}`)
  const persistence: Persistence = {
    async load() {
      const outbox = await persistence.loadOutbox()
      if (!storage.protectsAtRest) return { token: null, conversations: [], outbox }
      const token = await store.get(TOKEN)
      const conversations = (await store.list(CONVERSATION)).map(([, value]) => value as Conversation)
      return typeof token === 'string' ? { token, conversations, outbox } : { token: null, conversations: [], outbox }
    },
    async loadOutbox() {
      return (await store.list(OUTBOX)).map(([, value]) => value as OutboxRecord)
    },
    putOutbox: (record) => store.write([{ key: outboxKey(record), value: record }]),
    deleteOutbox: (record) => store.write([{ key: outboxKey(record), value: undefined }]),
    async remember({ token, changed, removed, anew }) {
      if (!storage.protectsAtRest) return
      const writes: Write[] = [
        ...(anew ? await forgetAll(store) : []),
        ...changed.map((summary) => ({ key: CONVERSATION + summary.conversationId, value: summary })),
        ...removed.map((id) => ({ key: CONVERSATION + id, value: undefined })),
        { key: TOKEN, value: token },
      ]
      await store.write(writes)
    },
    clear: () => store.clear(),
    close: () => store.close(),
  }
  return persistence
}

async function forgetAll(store: Store): Promise<readonly Write[]> {
  return (await store.list(CONVERSATION)).map(([key]) => ({ key, value: undefined }))
}

/** The order of the keys is the order of the queue. */
function outboxKey({ order, entryId }: { readonly order: number; readonly entryId: EntryId }): string {
  return `${OUTBOX}${String(order).padStart(16, '0')}/${entryId}`
}
