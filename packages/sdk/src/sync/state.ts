import type {
  Capability,
  CommandOp,
  Conversation,
  ConversationId,
  Cursor,
  Entry,
  EntryId,
  Presence,
  ProblemDocument,
  SendablePayload,
  Sent,
  UserId,
} from '@sotto/protocol'
import type { Unread } from './unread.ts'

/** Everything the sync engine knows. Plain readonly data: a step makes a new one and shares what did not change. */
export interface SyncState {
  readonly me: UserId | null
  readonly link: Link
  /** Where the next sync goes on; null before the first, and after the server has forgotten it. */
  readonly token: string | null
  /** Whether the list of conversations has been complete once. */
  readonly synced: boolean
  /** Entries of a new connection, until its first sync says that its log is the one that is held; null afterwards. */
  readonly early: readonly Entry[] | null
  /** Conversations seen by a sync that began without a token: the others are gone when it ends. */
  readonly seen: ReadonlySet<ConversationId> | null
  readonly conversations: ReadonlyMap<ConversationId, ConversationState>
  /** Conversations that someone looks at, also before they are known. */
  readonly observing: ReadonlySet<ConversationId>
  readonly outbox: ReadonlyMap<ConversationId, readonly OutboxItem[]>
  /** Whether this tab is the one that sends. */
  readonly leader: boolean
  readonly presence: ReadonlyMap<UserId, Presence['state']>
  readonly watched: readonly UserId[]
  readonly ownPresence: 'online' | 'away'
  /** What is due when, on the monotonic clock. */
  readonly deadlines: ReadonlyMap<string, number>
  readonly commands: ReadonlyMap<number, PendingCommand>
  readonly nextCommandId: number
  readonly cursorsMovedAt: number
}

/**
 * The connection.
 *
 * | phase | means | leaves by |
 * |---|---|---|
 * | idle | not started | start |
 * | opening | ticket and socket are being got | hello → syncing, failure → waiting or ended |
 * | syncing | socket is open, what changed is being fetched | last page → live, cut → waiting |
 * | live | everything arrives by itself | cut → waiting |
 * | waiting | until the next attempt | its time, or a wake → opening |
 * | ended | nothing more is tried | restart → opening |
 */
export interface Link {
  readonly phase: 'idle' | 'opening' | 'syncing' | 'live' | 'waiting' | 'ended'
  /** Number of the socket: what an earlier one still says is ignored. */
  readonly attempt: number
  readonly failures: number
  readonly wasLive: boolean
  /** The device says that it has no network, and nothing has come since that proves it wrong. */
  readonly offline: boolean
  /** Id of the command whose answer would prove it wrong. */
  readonly probe: number | null
  readonly slow: boolean
  readonly expiring: Expiring | null
  readonly nextAttemptAt: number | null
  readonly ended: EndReason | null
  readonly problem: ProblemDocument | null
  readonly heartbeatMs: number
  readonly spreadMs: number
  /** Something changed during a sync: sync once more. */
  readonly syncAgain: boolean
  /** The next attempt needs a fresh access token. */
  readonly freshToken: boolean
}

/** The session ends soon, if the user does nothing or in any case. */
export interface Expiring {
  readonly reason: 'idle' | 'absolute'
  /** On the monotonic clock. */
  readonly endsAt: number
}

/** Why nothing more is tried: `session` sign in again, `refused` see the problem, `protocol` update the app. */
export type EndReason = 'session' | 'refused' | 'protocol' | 'other-user' | 'signed-out' | 'closed'

export interface PendingCommand {
  readonly op: CommandOp
  readonly sentAt: number
  readonly conversationId?: ConversationId
  readonly entryId?: EntryId
}

/** One conversation: the server's summary, a gapless window of its log, and what the device adds to it. */
export interface ConversationState {
  readonly id: ConversationId
  readonly summary: Conversation
  readonly can: readonly Capability[]
  /** Ascending and gapless; the last one, if any, is at `heldTo`. */
  readonly entries: readonly Entry[]
  /** Every entry up to here was received, or was part of the summary. */
  readonly heldTo: number
  /** Received behind a gap: they wait for it to be filled. */
  readonly ahead: readonly Entry[]
  /** The last position that is known to exist. */
  readonly knownLast: number
  readonly firstVisibleSeq: number
  /** Someone looks at it: its window is kept whole and repaired from where it ended. */
  readonly observed: boolean
  readonly repairing: boolean
  readonly repairFailures: number
  readonly loadingOlder: boolean
  readonly olderProblem: ProblemDocument | null
  readonly unread: Unread
  /** Of the other members. */
  readonly cursors: ReadonlyMap<UserId, Cursor>
  /** Number of the latest question for all cursors: only its answer says who has none any more. */
  readonly cursorsAsked: number
  readonly typing: ReadonlySet<UserId>
  readonly own: OwnCursor
  readonly typingSentAt: number | null
  /** Grows when members may have changed: a list that was loaded at another number is stale. */
  readonly membersVersion: number
  readonly removed: boolean
  /** Grows when the log begins anew: an answer that was asked for at another number is of another log. */
  readonly logNumber: number
  /** The server no longer speaks of the log that was held: nothing is, until its summary comes. */
  readonly stale: boolean
  /** From then on until it is known what of it the server has kept. */
  readonly former: Former | null
}

/** What was held of a log before it began anew. */
export interface Former {
  /** Ascending. */
  readonly entries: readonly Entry[]
  /** The user's own messages of which it is not known whether the server still has them, ascending. */
  readonly mine: readonly OwnMessage[]
}

/** A message that the server had acknowledged at `seq`. */
export interface OwnMessage extends OutboxRecord {
  readonly seq: number
  /** By the server's clock; null when it is not known, or of which log it is. */
  readonly at: string | null
}

/** The user's own cursor: what the server knows, and where this device wants it to be. Both only move forward. */
export interface OwnCursor {
  readonly deliveredSeq: number
  readonly readSeq: number
  readonly wantDelivered: number
  readonly wantRead: number
  readonly moving: boolean
}

/** What is stored of a message that waits. */
export interface OutboxRecord {
  readonly entryId: EntryId
  readonly conversationId: ConversationId
  /** Place in the queue: ids are born by a clock that may be wrong. */
  readonly order: number
  readonly payload: SendablePayload
  readonly header: { readonly priority?: 'routine' | 'urgent' | 'critical'; readonly notify?: 'normal' | 'silent' }
  /** RFC 3339, by the device's clock. */
  readonly clientSentAt: string
  readonly problem: ProblemDocument | null
}

/**
 * | state | means |
 * |---|---|
 * | waiting | it will be sent when its turn comes |
 * | sending | its answer is awaited; a cut puts it back to waiting |
 * | sent | the server has it; its entry has not arrived yet |
 * | failed | the server will not take it: the user retries or discards |
 */
export interface OutboxItem extends OutboxRecord {
  readonly state: 'waiting' | 'sending' | 'sent' | 'failed'
  /** Only what is on the disk may be sent. */
  readonly stored: boolean
  readonly failures: number
  readonly notBefore: number
  readonly afterSync: boolean
  readonly seq: number | null
  /** An attempt to send it has had no clear answer, or may have been made before this run: the server may have it. */
  readonly maybeSent: boolean
}

/** What a range request was for: `check` asks whether own messages are still where they were. */
export type RangePurpose = 'repair' | 'older' | 'check'

export interface EntryRange {
  readonly items: readonly Entry[]
  readonly firstVisibleSeq: number
  readonly lastSeq: number
}

/** What is kept across restarts. */
export interface Restored {
  readonly token: string | null
  readonly conversations: readonly Conversation[]
  readonly outbox: readonly OutboxRecord[]
}

/** What happens to the engine. */
export type Input = LinkInput | ConversationInput | OutboxInput

/** What happens to the connection. `attempt` names the socket that speaks. */
export type LinkInput =
  | { readonly type: 'start'; readonly me: UserId; readonly restored: Restored }
  | { readonly type: 'restart' }
  | { readonly type: 'end'; readonly reason: EndReason; readonly problem?: ProblemDocument }
  | { readonly type: 'tick' }
  | { readonly type: 'wake' }
  | { readonly type: 'network'; readonly offline: boolean }
  | { readonly type: 'open-failed'; readonly attempt: number; readonly problem: ProblemDocument }
  | { readonly type: 'closed'; readonly attempt: number; readonly code: number }
  | { readonly type: 'frame'; readonly attempt: number; readonly frame: AnyFrame }
  | { readonly type: 'watch'; readonly userIds: readonly UserId[] }
  | { readonly type: 'own-presence'; readonly state: 'online' | 'away' }

/** What happens to one conversation. */
export type ConversationInput =
  | { readonly type: 'summary'; readonly conversation: Conversation }
  | { readonly type: 'observe'; readonly id: ConversationId; readonly observed: boolean }
  | { readonly type: 'load-older'; readonly id: ConversationId }
  | {
      readonly type: 'range'
      readonly id: ConversationId
      readonly purpose: RangePurpose
      readonly logNumber: number
      readonly range: EntryRange
    }
  | {
      readonly type: 'range-failed'
      readonly id: ConversationId
      readonly purpose: RangePurpose
      readonly logNumber: number
      readonly problem: ProblemDocument
    }
  | { readonly type: 'cursors'; readonly id: ConversationId; readonly asked: number; readonly items: readonly Cursor[] }
  | { readonly type: 'cursors-failed'; readonly id: ConversationId; readonly problem: ProblemDocument }
  | { readonly type: 'mark-read'; readonly id: ConversationId; readonly seq: number }
  | { readonly type: 'typing'; readonly id: ConversationId; readonly typing: boolean }

/** What happens to the outbox. */
export type OutboxInput =
  | { readonly type: 'leader'; readonly leader: boolean; readonly outbox: StoredOutbox | null }
  | {
      readonly type: 'outbox-add'
      readonly record: OutboxRecord
      readonly stored: boolean
      /** Default: no. */
      readonly maybeSent?: boolean
    }
  | { readonly type: 'outbox-stored'; readonly entryId: EntryId }
  | { readonly type: 'outbox-drop'; readonly entryId: EntryId }
  | { readonly type: 'outbox-retry'; readonly entryId: EntryId }
  | { readonly type: 'outbox-sent'; readonly entryId: EntryId; readonly sent: Sent }
  | { readonly type: 'outbox-refused'; readonly entryId: EntryId; readonly problem: ProblemDocument }

/** The outbox as it is stored, at a moment after `heldBefore` were stored. */
export interface StoredOutbox {
  readonly records: readonly OutboxRecord[]
  readonly heldBefore: ReadonlySet<EntryId>
}

/** A frame of this server or of a newer one. */
export interface AnyFrame {
  readonly op: string
}

/** What the shell does for the engine. */
export type Effect =
  | { readonly type: 'open'; readonly attempt: number; readonly freshToken: boolean }
  | { readonly type: 'close'; readonly attempt: number }
  | { readonly type: 'write'; readonly attempt: number; readonly frame: Readonly<Record<string, unknown>> }
  | {
      readonly type: 'list-entries'
      readonly id: ConversationId
      readonly purpose: RangePurpose
      readonly logNumber: number
      readonly afterSeq?: number
      readonly beforeSeq?: number
      readonly limit: number
    }
  | { readonly type: 'list-cursors'; readonly id: ConversationId; readonly asked: number }
  | { readonly type: 'send-http'; readonly item: OutboxItem }
  /** The server has it: forget it on the disk, tell who waits. */
  | { readonly type: 'settled'; readonly item: OutboxItem; readonly sent: Sent }
  /** The server will never take it as it is: keep it with its problem, tell who waits. */
  | { readonly type: 'failed'; readonly item: OutboxItem; readonly problem: ProblemDocument }
  /** The server had it, and has it no more: keep it on the disk again, with its problem. */
  | { readonly type: 'not-kept'; readonly item: OutboxItem }
  | {
      readonly type: 'remember'
      readonly token: string
      readonly changed: readonly Conversation[]
      readonly removed: readonly ConversationId[]
      /** The list begins anew: forget what was remembered before. */
      readonly anew: boolean
    }
  | { readonly type: 'ended'; readonly reason: EndReason }

export interface Env {
  /** Monotonic milliseconds. */
  readonly now: number
  /** In [0, 1). */
  readonly random: () => number
}

export const initialState: SyncState = {
  me: null,
  link: {
    phase: 'idle',
    attempt: 0,
    failures: 0,
    wasLive: false,
    offline: false,
    probe: null,
    slow: false,
    expiring: null,
    nextAttemptAt: null,
    ended: null,
    problem: null,
    heartbeatMs: 20_000,
    spreadMs: 0,
    syncAgain: false,
    freshToken: false,
  },
  token: null,
  synced: false,
  early: null,
  seen: null,
  conversations: new Map(),
  observing: new Set(),
  outbox: new Map(),
  leader: true,
  presence: new Map(),
  watched: [],
  ownPresence: 'online',
  deadlines: new Map(),
  commands: new Map(),
  nextCommandId: 1,
  cursorsMovedAt: Number.NEGATIVE_INFINITY,
}
