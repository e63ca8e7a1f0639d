import type { CommandOp, CommandRequest, ConversationId } from '@sotto/protocol'
import type { ConversationState, Effect, Env, Link, PendingCommand, SyncState } from './state.ts'

type Writable<T> = { -readonly [K in keyof T]: T[K] }
type MapField = 'conversations' | 'outbox' | 'presence' | 'deadlines' | 'commands'

/** One step under way: the next state, shared with the last one until it is written to, and the effects so far. */
export interface Draft {
  readonly env: Env
  readonly state: Writable<SyncState>
  readonly effects: Effect[]
  /** Conversations whose snapshot may have changed. */
  readonly touched: Set<ConversationId>
  readonly owned: Set<MapField>
}

export function createDraft(state: SyncState, env: Env): Draft {
  return { env, state: { ...state }, effects: [], touched: new Set(), owned: new Set() }
}

type MutableMap<F extends MapField> = SyncState[F] extends ReadonlyMap<infer K, infer V> ? Map<K, V> : never

/** The map of a field, copied at its first change in a step: the last state stays as it was. */
export function own<F extends MapField>(draft: Draft, field: F): MutableMap<F> {
  if (!draft.owned.has(field)) {
    draft.owned.add(field)
    Object.assign(draft.state, { [field]: new Map(draft.state[field] as ReadonlyMap<unknown, unknown>) })
  }
  return draft.state[field] as unknown as MutableMap<F>
}

export function setLink(draft: Draft, change: Partial<Link>): void {
  draft.state.link = { ...draft.state.link, ...change }
}

export function putConversation(draft: Draft, conversation: ConversationState): void {
  if (draft.state.conversations.get(conversation.id) === conversation) return
  own(draft, 'conversations').set(conversation.id, conversation)
  draft.touched.add(conversation.id)
}

/** Changes a conversation that is there; one that is not there has nothing to change. */
export function changeConversation(
  draft: Draft,
  id: ConversationId,
  change: (conversation: ConversationState) => ConversationState,
): void {
  const conversation = draft.state.conversations.get(id)
  if (conversation !== undefined) putConversation(draft, change(conversation))
}

export function setDeadline(draft: Draft, key: string, at: number): void {
  if (draft.state.deadlines.get(key) !== at) own(draft, 'deadlines').set(key, at)
}

/** The earlier of two deadlines holds. */
export function setDeadlineNoLater(draft: Draft, key: string, at: number): void {
  const known = draft.state.deadlines.get(key)
  if (known === undefined || at < known) setDeadline(draft, key, at)
}

export function clearDeadline(draft: Draft, key: string): void {
  if (draft.state.deadlines.has(key)) own(draft, 'deadlines').delete(key)
}

/** How long an answer may take before the connection counts as slow, and as stuck. */
export const SLOW_MS = 3_000
export const STUCK_MS = 30_000

/** Writes one command to the open socket and remembers what its answer will be for. */
export function sendCommand<Op extends CommandOp>(
  draft: Draft,
  op: Op,
  body: CommandRequest<Op>,
  about: Omit<PendingCommand, 'op' | 'sentAt'> = {},
): void {
  const { link, nextCommandId: id } = draft.state
  draft.state.nextCommandId = id + 1
  own(draft, 'commands').set(id, { op, sentAt: draft.env.now, ...about })
  draft.effects.push({ type: 'write', attempt: link.attempt, frame: { op, id, ...(body as object) } })
  setDeadline(draft, 'ping', draft.env.now + link.heartbeatMs)
  setDeadlineNoLater(draft, 'slow', draft.env.now + SLOW_MS)
  setDeadlineNoLater(draft, 'stuck', draft.env.now + STUCK_MS)
}
