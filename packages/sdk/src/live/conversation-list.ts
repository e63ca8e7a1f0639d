import type { Conversation as ConversationSummary, ConversationId, Operations, UserId } from '@sotto/protocol'
import type { ApiRequest } from '../api/api.ts'
import { createListeners, type Live } from '../platform/live.ts'
import { uuidv7 } from '../platform/random.ts'
import type { Core } from '../runtime/core.ts'
import { shownUnread } from '../sync/log.ts'
import type { ConversationState, OutboxItem } from '../sync/state.ts'
import { createConversationObject, currentSummary, type Conversation } from './conversation.ts'

/** One line of the list. Immutable, and the same object until something about it changes. */
export interface ConversationListItem {
  readonly conversationId: ConversationId
  readonly summary: ConversationSummary
  readonly unread: number
  readonly typing: readonly UserId[]
  /** Messages of this device that wait, and that have failed. */
  readonly waiting: number
  readonly failed: number
}

export interface ConversationListSnapshot {
  /** `loading` until the list was complete once; what is there may be shown already. */
  readonly status: 'loading' | 'ready'
  /** The one with the newest entry first. */
  readonly items: readonly ConversationListItem[]
  /** Unread entries in all of them. */
  readonly unread: number
}

/** What is needed for a new conversation; the id is made here unless it is given. */
export type NewConversation = Omit<ApiRequest<Operations['createConversation']>, 'conversationId'> & {
  readonly conversationId?: string
}

/** The user's conversations as a live list. */
export interface ConversationList extends Live<ConversationListSnapshot> {
  /** The live object of one conversation: always the same one for the same id. */
  get(conversationId: string): Conversation
  /** Creates a conversation; the user becomes its manager. @throws SottoProblem */
  create(conversation: NewConversation): Promise<Conversation>
}

export function createConversationList(core: Core): ConversationList {
  const { runtime, api } = core
  const listeners = createListeners()
  const objects = new Map<string, Conversation>()
  const lines = new WeakMap<ConversationState, { readonly queue: unknown; readonly item: ConversationListItem }>()
  let snapshot: { readonly from: readonly unknown[]; readonly value: ConversationListSnapshot } | null = null

  core.onChange(({ before, after, touched }) => {
    if (touched.size > 0 || before.synced !== after.synced) listeners.notify()
  })

  function line(known: ConversationState, queue: readonly OutboxItem[] | undefined, me: UserId): ConversationListItem {
    const cached = lines.get(known)
    if (cached !== undefined && cached.queue === queue) return cached.item
    const item: ConversationListItem = {
      conversationId: known.id,
      summary: currentSummary(known),
      unread: shownUnread(known, me),
      typing: [...known.typing],
      waiting: queue?.filter(({ state }) => state === 'waiting' || state === 'sending').length ?? 0,
      failed: queue?.filter(({ state }) => state === 'failed').length ?? 0,
    }
    lines.set(known, { queue, item })
    return item
  }

  function getSnapshot(): ConversationListSnapshot {
    const { conversations, outbox, synced, me } = runtime.getState()
    const from = [conversations, outbox, synced, me]
    if (snapshot !== null && from.every((part, index) => part === snapshot?.from[index])) return snapshot.value
    const shown = me === null ? [] : [...conversations.values()].filter(({ removed }) => !removed)
    const items = shown.map((known) => line(known, outbox.get(known.id), me as UserId)).toSorted(newestFirst)
    const unread = items.reduce((sum, item) => sum + item.unread, 0)
    snapshot = { from, value: { status: synced ? 'ready' : 'loading', items, unread } }
    return snapshot.value
  }

  function get(conversationId: string): Conversation {
    const object = objects.get(conversationId) ?? createConversationObject(core, conversationId as ConversationId)
    objects.set(conversationId, object)
    return object
  }

  return {
    getSnapshot,
    subscribe: listeners.subscribe,
    get,
    async create(conversation) {
      const conversationId = conversation.conversationId ?? uuidv7(core.clock.now(), core.random)
      const summary = await api.createConversation({ ...conversation, conversationId })
      runtime.dispatch({ type: 'summary', conversation: summary })
      return get(summary.conversationId)
    },
  }
}

/** Both times are the server's, in the same form, so they compare as text. */
function newestFirst(left: ConversationListItem, right: ConversationListItem): number {
  const [a, b] = [left, right].map(({ summary }) => summary.lastEntryAt ?? summary.createdAt) as [string, string]
  if (a === b) return left.conversationId < right.conversationId ? -1 : 1
  return a < b ? 1 : -1
}
