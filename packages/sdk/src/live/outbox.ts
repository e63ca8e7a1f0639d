import type { ConversationId, EntryId } from '@sotto/protocol'
import { createListeners, type Live } from '../platform/live.ts'
import type { Core } from '../runtime/core.ts'
import type { OutboxItem } from '../sync/state.ts'

/** What this device has still to send. */
export interface OutboxSnapshot {
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
  let snapshot: { readonly from: unknown; readonly value: OutboxSnapshot } | null = null
  core.onChange(({ before, after }) => {
    if (before.outbox !== after.outbox) listeners.notify()
  })
  return {
    subscribe: listeners.subscribe,
    getSnapshot() {
      const { outbox } = core.runtime.getState()
      if (snapshot === null || snapshot.from !== outbox)
        snapshot = { from: outbox, value: render([...outbox.values()].flat()) }
      return snapshot.value
    },
  }
}

function render(queued: readonly OutboxItem[]): OutboxSnapshot {
  const items = queued
    .filter(({ state }) => state !== 'sent')
    .map(({ entryId, conversationId, state }) => ({ entryId, conversationId, state }))
  const failed = items.filter(({ state }) => state === 'failed').length
  return { waiting: items.length - failed, failed, items }
}
