import type { ConversationId, EntryId } from '@sotto/protocol'
import { createListeners, type Live } from '../platform/live.ts'
import type { Core } from '../runtime/core.ts'
import type { OutboxItem, SyncState } from '../sync/state.ts'

/** What this device has still to send. */
export interface OutboxSnapshot {
  /** `loading` until what an earlier run has left is known. */
  readonly status: 'loading' | 'ready'
  readonly waiting: number
  readonly failed: number
  readonly items: readonly {
    readonly entryId: EntryId
    readonly conversationId: ConversationId
    readonly state: OutboxItem['state']
  }[]
}

/** The outbox over all conversations: for a warning before signing out, and for an icon that says "not sent yet". */
export type Outbox = Live<OutboxSnapshot>

export function createOutbox(core: Core): Outbox {
  const listeners = createListeners()
  let snapshot: { readonly from: SyncState; readonly value: OutboxSnapshot } | null = null
  const differs = (a: SyncState, b: SyncState): boolean => a.outbox !== b.outbox || a.me !== b.me
  core.onChange(({ before, after }) => {
    if (differs(before, after)) listeners.notify()
  })
  return {
    subscribe: listeners.subscribe,
    getSnapshot() {
      const state = core.runtime.getState()
      if (snapshot === null || differs(snapshot.from, state)) snapshot = { from: state, value: render(state) }
      return snapshot.value
    },
  }
}

function render({ outbox, me }: SyncState): OutboxSnapshot {
  const items = [...outbox.values()]
    .flat()
    .filter(({ state }) => state !== 'sent')
    .map(({ entryId, conversationId, state }) => ({ entryId, conversationId, state }))
  const failed = items.filter(({ state }) => state === 'failed').length
  return { status: me === null ? 'loading' : 'ready', waiting: items.length - failed, failed, items }
}
