import type {
  Capability,
  Conversation as ConversationSummary,
  ConversationId,
  Cursor,
  EntryId,
  Member,
  SendablePayload,
  UserId,
} from '@sotto/protocol'
import { localProblem, SottoProblem } from '../api/problem.ts'
import { limitTable } from '../contract.generated.ts'
import { createListeners, type Live } from '../platform/live.ts'
import type { Core, DiscardOptions, MessageHeader, Queued } from '../runtime/core.ts'
import { hasOlder, shownUnread } from '../sync/log.ts'
import type { ConversationState, OutboxItem } from '../sync/state.ts'
import { createTimeline, type TimelineItem } from './timeline.ts'

/** What a conversation is at one moment. Immutable. */
export interface ConversationSnapshot {
  readonly conversationId: ConversationId
  /** `loading` until the first sync; `unknown`: not the user's to see; `removed`: she was a member until now. */
  readonly status: 'loading' | 'ready' | 'unknown' | 'removed'
  /** As the server last summarised it; `lastSeq`, `lastEntry` and `can` are kept up to date here. */
  readonly summary: ConversationSummary | null
  /** Oldest first, without gaps; pending messages of this device at the end. */
  readonly items: readonly TimelineItem[]
  readonly hasOlder: boolean
  readonly loadingOlder: boolean
  /** Why older entries could not be loaded; `loadOlder()` tries again. */
  readonly problem: SottoProblem | null
  /** Whether newer entries are being fetched, because a gap was found; or all, because the server knows another log. */
  readonly catchingUp: boolean
  readonly unread: number
  /** The user's own cursor, as this device wants it: what she has marked as read here counts at once. */
  readonly readSeq: number
  /** Other members' cursors; empty where receipts of single persons are off. */
  readonly cursors: readonly Cursor[]
  /** Other members who are typing now. */
  readonly typing: readonly UserId[]
  /** What the user may do here, by the server's word. */
  readonly can: readonly Capability[]
  /** Loaded by `members()`, and kept up to date from then on. */
  readonly members: readonly Member[] | null
}

/** Who of the other members has received and read one message. */
export interface Receipts {
  readonly deliveredTo: readonly UserId[]
  readonly readBy: readonly UserId[]
}

/** One conversation as a live object. While it has a subscriber its log is kept whole and its last page is loaded. */
export interface Conversation extends Live<ConversationSnapshot> {
  readonly conversationId: ConversationId
  /**
   * Stores a message on this device and sends it as soon as it can be: once, in order, also after a restart.
   *
   * @returns when it is stored; `acknowledged` resolves when the server has it
   * @throws SottoProblem `messages/too-large`, `platform/invalid-input`, `sdk/storage-failed`: nothing was stored
   */
  send(message: string | SendablePayload, header?: MessageHeader): Promise<Queued>
  /** Tries a failed message again, under the same id. */
  retry(entryId: string): void
  /**
   * Takes back a message that was never sent, or has failed. Where several tabs share the outbox, the one that sends
   * decides.
   *
   * @param options.anyway  also one that the server may have already: it is only no longer sent, or shown as waiting
   * @throws SottoProblem `sdk/maybe-sent` without `anyway`; `sdk/storage-failed`; `sdk/timeout` when the tab that sends
   * does not answer
   */
  discard(entryId: string, options?: DiscardOptions): Promise<void>
  /** Loads the page before the oldest entry. Does nothing while one is loading, or when there is none. */
  loadOlder(): void
  /** Moves the user's read cursor forward, on all of her devices. Without `seq`, and at most: to the last entry here. */
  markRead(seq?: number): void
  /** Call it on every key press, and with `false` when the text is gone: it is throttled. */
  setTyping(isTyping: boolean): void
  /** Who is in the conversation. Cached until the membership changes. @throws SottoProblem */
  members(): Promise<readonly Member[]>
  receipts(seq: number): Receipts
}

const noItems: readonly OutboxItem[] = []

export function createConversationObject(core: Core, id: ConversationId): Conversation {
  const { runtime, api } = core
  const timeline = createTimeline()
  const listeners = createListeners({ onWatched: () => queueMicrotask(observe) })
  let observed = false
  let members: { readonly version: number; readonly list: readonly Member[] } | null = null
  let loadingMembers: Promise<readonly Member[]> | null = null
  let snapshot: { readonly from: readonly unknown[]; readonly value: ConversationSnapshot } | null = null

  core.onChange(({ before, after, touched }) => {
    if (!touched.has(id) && before.synced === after.synced) return
    const version = after.conversations.get(id)?.membersVersion
    // Who once asked for the members is shown the present ones.
    if (members !== null && version !== undefined && members.version !== version) void loadMembers().catch(() => {})
    listeners.notify()
  })

  /** Later, and once: a view that is taken down and put up again in one go has never looked away. */
  function observe(): void {
    if (observed === listeners.count > 0) return
    observed = !observed
    runtime.dispatch({ type: 'observe', id, observed })
  }

  function getSnapshot(): ConversationSnapshot {
    const state = runtime.getState()
    const known = state.conversations.get(id)
    const queue = state.outbox.get(id) ?? noItems
    const from = [known, queue, state.synced, members, state.me]
    if (snapshot === null || from.some((part, index) => part !== snapshot?.from[index])) {
      const items = timeline.render(known, queue, state.me)
      snapshot = { from, value: render(id, known, items, state.synced, members?.list ?? null, state.me) }
    }
    return snapshot.value
  }

  function loadMembers(): Promise<readonly Member[]> {
    loadingMembers ??= listAllMembers().finally(() => (loadingMembers = null))
    return loadingMembers
  }

  async function listAllMembers(): Promise<readonly Member[]> {
    const version = runtime.getState().conversations.get(id)?.membersVersion ?? 0
    const list: Member[] = []
    for (let after: string | null = ''; after !== null;) {
      const page: { items: Member[]; next: string | null } = await api.listMembers({
        conversationId: id,
        limit: limitTable.pageSizeMax,
        ...(after === '' ? {} : { after }),
      })
      list.push(...page.items)
      after = page.next
    }
    members = { version, list }
    listeners.notify()
    return list
  }

  return {
    conversationId: id,
    getSnapshot,
    subscribe: listeners.subscribe,
    send: async (message, header = {}) => core.send(id, checkPayload(message), header),
    retry: (entryId) => core.retry(entryId as EntryId),
    discard: (entryId, options) => core.discard(entryId as EntryId, options),
    loadOlder: () => runtime.dispatch({ type: 'load-older', id }),
    markRead: (seq = Number.MAX_SAFE_INTEGER) => runtime.dispatch({ type: 'mark-read', id, seq }),
    setTyping: (typing) => runtime.dispatch({ type: 'typing', id, typing }),
    async members() {
      const version = runtime.getState().conversations.get(id)?.membersVersion ?? 0
      return members !== null && members.version === version ? members.list : await loadMembers()
    },
    receipts(seq) {
      const cursors = [...(runtime.getState().conversations.get(id)?.cursors.values() ?? [])]
      return {
        deliveredTo: cursors.filter((cursor) => cursor.deliveredSeq >= seq).map(({ userId }) => userId),
        readBy: cursors.filter((cursor) => cursor.readSeq >= seq).map(({ userId }) => userId),
      }
    },
  }
}

/** What the server would refuse is refused here, before anything is stored. */
function checkPayload(message: string | SendablePayload): SendablePayload {
  const payload: SendablePayload = typeof message === 'string' ? { v: 1, type: 'text', text: message } : message
  if (payload.text === '' || !payload.text.isWellFormed()) {
    throw localProblem('platform/invalid-input', 400, 'A message is well-formed text, and not empty')
  }
  const bytes = new TextEncoder().encode(JSON.stringify(payload)).length
  if (bytes > limitTable.messageBytesMax) {
    throw localProblem('messages/too-large', 413, 'The message is larger than the limit')
  }
  return payload
}

function render(
  conversationId: ConversationId,
  known: ConversationState | undefined,
  items: readonly TimelineItem[],
  synced: boolean,
  members: readonly Member[] | null,
  me: UserId | null,
): ConversationSnapshot {
  if (known === undefined || me === null) {
    const status = synced ? 'unknown' : 'loading'
    return { ...empty, conversationId, status, items }
  }
  return {
    conversationId,
    status: known.removed ? 'removed' : 'ready',
    summary: currentSummary(known),
    items,
    hasOlder: !known.removed && hasOlder(known),
    loadingOlder: known.loadingOlder,
    problem: known.olderProblem === null ? null : new SottoProblem(known.olderProblem),
    catchingUp: known.repairing || known.stale,
    unread: known.removed ? 0 : shownUnread(known, me),
    readSeq: Math.max(known.own.readSeq, known.own.wantRead),
    cursors: [...known.cursors.values()],
    typing: [...known.typing],
    can: known.can,
    members,
  }
}

const empty: Omit<ConversationSnapshot, 'conversationId' | 'status' | 'items'> = {
  summary: null,
  hasOlder: false,
  loadingOlder: false,
  problem: null,
  catchingUp: false,
  unread: 0,
  readSeq: 0,
  cursors: [],
  typing: [],
  can: [],
  members: null,
}

/** The summary with what has arrived since. */
export function currentSummary({ summary, entries, can, removed, knownLast }: ConversationState): ConversationSummary {
  const newest = entries.at(-1)
  const lastEntry = newest !== undefined && newest.seq >= (summary.lastEntry?.seq ?? 0) ? newest : summary.lastEntry
  return {
    ...summary,
    can: [...can],
    lastSeq: Math.max(summary.lastSeq, knownLast),
    lastEntry: removed ? null : lastEntry,
    lastEntryAt: lastEntry?.at ?? summary.lastEntryAt,
  }
}
