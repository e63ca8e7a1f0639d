import type { EntryId, ProblemDocument, Sent } from '@sotto/protocol'
import type { OutboxRecord } from '../sync/state.ts'

/** What tabs tell each other about the outbox that they share. */
export type TabMessage =
  | { readonly type: 'added'; readonly record: OutboxRecord }
  | { readonly type: 'settled'; readonly entryId: EntryId; readonly sent: Sent }
  | { readonly type: 'failed'; readonly entryId: EntryId; readonly problem: ProblemDocument }
  | { readonly type: 'retry'; readonly entryId: EntryId }
  /** To the tab that sends: only it knows what is under way. It answers `discarded` or `kept`. */
  | { readonly type: 'discard'; readonly entryId: EntryId; readonly anyway: boolean }
  | { readonly type: 'discarded'; readonly entryId: EntryId; readonly maybeSent: boolean }
  | { readonly type: 'kept'; readonly entryId: EntryId; readonly problem: ProblemDocument }
  | { readonly type: 'signed-out' }

/** The part of Web Locks that the SDK uses. */
export interface LockManagerLike {
  request(name: string, options: { readonly signal?: AbortSignal }, run: () => Promise<unknown>): Promise<unknown>
}
export interface ChannelLike {
  onmessage: ((event: MessageEvent) => unknown) | null
  postMessage(message: unknown): void
  close(): void
}

export interface Tabs {
  tell(message: TabMessage): void
  close(): void
}

export interface TabsOptions {
  /** Server and user: the outbox's own namespace. */
  readonly namespace: string
  readonly locks: LockManagerLike | undefined
  readonly openChannel: ((name: string) => ChannelLike) | undefined
  /** This tab sends from now on. */
  onLeading(): void
  onMessage(message: TabMessage): void
}

/**
 * Tabs share one outbox; the one that holds the Web Lock sends. When it is closed or killed, the browser gives the lock
 * to the next one. Where there are no locks every tab sends: the server recognises the repeat by its entry id.
 */
export function joinTabs({ namespace, locks, openChannel, onLeading, onMessage }: TabsOptions): Tabs {
  const name = `sotto-outbox-${namespace}`
  const channel = openChannel?.(name)
  if (channel !== undefined) channel.onmessage = ({ data }) => onMessage(data as TabMessage)
  const leaving = new AbortController()
  if (locks === undefined) onLeading()
  else void lead(locks, name, leaving.signal, onLeading)
  return {
    tell: (message) => channel?.postMessage(message),
    close() {
      leaving.abort()
      channel?.close()
    },
  }
}

async function lead(locks: LockManagerLike, name: string, signal: AbortSignal, onLeading: () => void): Promise<void> {
  try {
    await locks.request(name, { signal }, async () => {
      if (signal.aborted) return
      onLeading()
      // Held until this tab leaves: an abort after the grant does not release a lock by itself.
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    })
  } catch {
    // Left before the turn came.
  }
}
