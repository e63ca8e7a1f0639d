import { setImmediate as nextTurn } from 'node:timers/promises'
import type { AuditAction, ConversationId, DeviceId, Sent, SessionId, TenantId, UserId } from '@sotto/protocol'
import type { Bus } from '../../platform/bus/bus.ts'
import type { Ctx } from '../../platform/context/context.ts'
import { constantTimeEqual } from '../../platform/crypto/primitives.ts'
import { held, type BatchVerdict, type Verdict } from '../../platform/db/group-commit.ts'
import type { Db, LaneTx, Tx } from '../../platform/db/tx.ts'
import type { Log } from '../../platform/log/log.ts'
import { problem, type Problem } from '../../platform/problem/problem.ts'
import { toRfc3339, type Clock, type Instant } from '../../platform/time/clock.ts'
import type { AuditItem, AuditRecord } from '../audit/index.ts'
import { findLiveMembers, lockMembers } from './conversation-store.ts'
import { nextPlace, type LogEnd, type NewEntry, type StoredEntry } from './conversation.model.ts'
import {
  entryKey,
  findConversationIds,
  findKnownEntries,
  findTakenEntryIds,
  insertEntries,
  lockConversationLogs,
  type KnownEntry,
  type PlacedEntry,
} from './log-store.ts'
import { resealBody, type BodyDeps } from './render-entry.ts'

/** How many sends one statement writes: the database works on them while the batch's next ones are judged and sealed. */
const WRITTEN_TOGETHER = 64

export interface AppendDeps extends BodyDeps {
  readonly db: Db
  readonly bus: Bus
  readonly clock: Clock
  readonly log: Log
  /** Which sessions are alive now, in one statement. */
  findLiveSessions(
    tx: Tx,
    tenantId: TenantId,
    sessionIds: readonly SessionId[],
    now: Instant,
  ): Promise<ReadonlyMap<SessionId, unknown>>
  recordAuditItems(tx: Tx, tenantId: TenantId, items: readonly AuditItem[]): Promise<void>
}

/** The payload is in it once, sealed: what waits in a queue may be much, and is not kept open. */
export interface AppendItem extends Omit<NewEntry, 'payload'> {
  /** Keyed hash of what is sent, to tell a repeat from a conflict. */
  readonly bodyHash: Buffer
  readonly auditAction: AuditAction
  readonly subjectUserId: UserId | null
  /** Sealed before the transaction, under the epoch that was current when the grant was given. */
  readonly sealed: { readonly keyEpoch: number; readonly body: Buffer }
}

export interface Submitted {
  readonly ctx: Ctx
  readonly conversationId: ConversationId
  readonly deviceId: DeviceId
  readonly entryId: AppendItem['entryId']
  readonly item: AppendItem
}

export interface Accepted {
  readonly sent: Sent
  /** undefined: it had been appended before. */
  readonly stored: StoredEntry | undefined
}

/** One transaction, many actors: lookups of all tenants travel together, then the writes of all tenants with the commit. */
export async function appendBatch(
  deps: AppendDeps,
  tx: LaneTx,
  items: readonly Submitted[],
): Promise<readonly BatchVerdict<Accepted>[]> {
  const verdicts = Array.from<BatchVerdict<Accepted>>({ length: items.length })
  const groups = groupByTenant(items)
  const lookups = groups.map(([tenantId, indexes]) => {
    tx.enterTenant(tenantId)
    return lookUp(
      deps,
      tx,
      tenantId,
      indexes.map((index) => items[index]!),
    )
  })
  const found = await Promise.all(lookups)
  for (const [position, [tenantId, indexes]] of groups.entries()) {
    if (groups.length > 1) tx.enterTenant(tenantId)
    await writeGroup(deps, tx, tenantId, indexes, items, found[position]!, verdicts)
  }
  return verdicts
}

function groupByTenant(items: readonly Submitted[]): readonly [TenantId, readonly number[]][] {
  const groups = new Map<TenantId, number[]>()
  items.forEach(({ ctx }, index) => {
    const group = groups.get(ctx.tenantId)
    if (group) group.push(index)
    else groups.set(ctx.tenantId, [index])
  })
  return [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1))
}

type Found = Awaited<ReturnType<typeof lookUp>>

async function lookUp(deps: AppendDeps, tx: Tx, tenantId: TenantId, items: readonly Submitted[]) {
  const conversationIds = items.map((item) => item.conversationId)
  const senders = items.map(({ conversationId, ctx }) => ({ conversationId, userId: ctx.userId }))
  const [ends, members, sessions, known, taken] = await Promise.all([
    lockConversationLogs(tx, tenantId, conversationIds),
    lockMembers(tx, tenantId, senders),
    deps.findLiveSessions(tx, tenantId, [...new Set(items.map(({ ctx }) => ctx.sessionId))], deps.clock.now()),
    findKnownEntries(tx, tenantId, items),
    findTakenEntryIds(tx, tenantId, items),
  ])
  return { ends: new Map(ends), members, sessions, known: new Map(known), taken: new Set(taken) }
}

/** Whose conversation or membership is there and could not be locked. Nothing is asked when everything is there. */
async function findHeld(
  tx: Tx,
  tenantId: TenantId,
  items: readonly Submitted[],
  { ends, members }: Found,
): Promise<ReadonlySet<string>> {
  const missing = items
    .filter((item) => !ends.has(item.conversationId) || !members.has(memberKey(item)))
    .map(({ conversationId, ctx }) => ({ conversationId, userId: ctx.userId }))
  if (missing.length === 0) return new Set()
  const [there, live] = await Promise.all([
    findConversationIds(tx, tenantId, [...new Set(missing.map((item) => item.conversationId))]),
    findLiveMembers(tx, tenantId, missing),
  ])
  const isHeld = (item: Submitted) =>
    (!ends.has(item.conversationId) && there.has(item.conversationId)) ||
    (!members.has(memberKey(item)) && live.has(memberKey(item)))
  return new Set(items.filter(isHeld).map(memberKey))
}

function memberKey({ conversationId, ctx }: Submitted): string {
  return `${conversationId}/${ctx.userId}`
}

/** Gives each item its verdict and its place, and writes entries and audit rows, part by part of a large batch. */
async function writeGroup(
  deps: AppendDeps,
  tx: Tx,
  tenantId: TenantId,
  indexes: readonly number[],
  items: readonly Submitted[],
  found: Found,
  verdicts: BatchVerdict<Accepted>[],
): Promise<void> {
  const placed: PlacedEntry[] = []
  const audit: AuditItem[] = []
  const at = deps.clock.now()
  const waiting = await findHeld(
    tx,
    tenantId,
    indexes.map((index) => items[index]!),
    found,
  )
  const write = async (): Promise<void> => {
    if (audit.length > 0) await deps.recordAuditItems(tx, tenantId, audit.splice(0))
    if (placed.length > 0) insertEntries(tx, tenantId, placed.splice(0))
  }
  for (const index of indexes) {
    if (audit.length === WRITTEN_TOGETHER) {
      await write()
      await nextTurn()
    }
    const submitted = items[index]!
    const verdict = judge(submitted, found, waiting) ?? (await accept(deps, tx, submitted, found, at))
    verdicts[index] = verdict
    if ('held' in verdict) continue
    if ('answer' in verdict && verdict.answer.stored)
      placed.push({ ...verdict.answer.stored, bodyHash: submitted.item.bodyHash })
    audit.push({ ctx: submitted.ctx, record: auditOf(submitted, verdict) })
  }
  await write()
}

/** Session, idempotency, membership, closure, in this order. @returns undefined when it is to be appended */
function judge(submitted: Submitted, found: Found, waiting: ReadonlySet<string>): BatchVerdict<Accepted> | undefined {
  const { ctx, conversationId, deviceId, entryId, item } = submitted
  if (!found.sessions.has(ctx.sessionId)) return refuse(problem('identity/session-ended', { recorded: true }))
  const known = found.known.get(entryKey({ conversationId, deviceId, entryId }))
  if (known) return repeatOf(known, item)
  if (waiting.has(memberKey(submitted))) return held
  const end = found.ends.get(conversationId)
  if (end === undefined || !found.members.has(memberKey(submitted))) {
    return refuse(problem('access/not-found', { recorded: true, trueReason: 'not-a-member' }))
  }
  if (end.closed) return refuse(problem('conversations/closed', { recorded: true }))
  if (found.taken.has(`${conversationId}/${entryId}`))
    return refuse(problem('messages/entry-conflict', { recorded: true, trueReason: 'entry-of-another' }))
  return undefined
}

function repeatOf(known: KnownEntry, item: AppendItem): Verdict<Accepted> {
  if (!constantTimeEqual(known.bodyHash, item.bodyHash))
    return refuse(problem('messages/entry-conflict', { recorded: true }))
  const { entryId, seq, countable, at } = known
  return { answer: { sent: { entryId, seq, countable, at: toRfc3339(at) }, stored: undefined } }
}

function refuse(refusal: Problem): Verdict<Accepted> {
  return { refusal }
}

/** Takes the next place. The log's end and the keys move on in `found`, for the next item of the same batch. */
async function accept(
  deps: AppendDeps,
  tx: Tx,
  submitted: Submitted,
  found: Found,
  at: Instant,
): Promise<Verdict<Accepted>> {
  const { ctx, conversationId, deviceId, entryId, item } = submitted
  const end = found.ends.get(conversationId)!
  const place = nextPlace(end, item.header.counts)
  const body = item.sealed.keyEpoch === end.keyEpoch ? item.sealed.body : await sealAgain(deps, tx, submitted, end)
  const stored = placeEntry(ctx, conversationId, item, place, body, at)
  found.ends.set(conversationId, { ...end, ...place })
  found.known.set(entryKey(submitted), {
    conversationId,
    deviceId,
    entryId,
    bodyHash: item.bodyHash,
    seq: stored.seq,
    countable: stored.countable,
    at,
  })
  found.taken.add(`${conversationId}/${entryId}`)
  return { answer: { sent: { entryId, seq: stored.seq, countable: stored.countable, at: toRfc3339(at) }, stored } }
}

/** The epoch has changed since the grant was given. */
async function sealAgain(
  deps: AppendDeps,
  tx: Tx,
  { ctx, conversationId, entryId, item }: Submitted,
  end: LogEnd,
): Promise<Buffer> {
  const [from, to] = await Promise.all([
    deps.keys.getConversationKey(tx, ctx.tenantId, conversationId, item.sealed.keyEpoch),
    deps.keys.getConversationKey(tx, ctx.tenantId, conversationId, end.keyEpoch),
  ])
  return resealBody(deps.sealer, from, to, { tenantId: ctx.tenantId, conversationId, entryId }, item.sealed.body)
}

function auditOf({ conversationId, entryId, item }: Submitted, verdict: Verdict<Accepted>): AuditRecord {
  const record = {
    action: item.auditAction,
    resource: { type: 'conversation', id: conversationId },
    subjectUserId: item.subjectUserId,
  }
  if ('refusal' in verdict)
    return { ...record, outcome: 'refused', code: (verdict.refusal as Problem).trueReason, details: { entryId } }
  const { sent, stored } = verdict.answer
  return { ...record, details: { entryId, seq: sent.seq, ...(stored ? {} : { repeat: true }) } }
}

/** An entry as it will stand in the log. */
export function placeEntry(
  ctx: Ctx,
  conversationId: ConversationId,
  entry: Omit<NewEntry, 'payload'>,
  place: { readonly lastSeq: number; readonly lastCountable: number },
  bodyCiphertext: Buffer | null,
  at: Instant,
): StoredEntry {
  const { entryId, kind, header, clientSentAt } = entry
  return {
    conversationId,
    seq: place.lastSeq,
    countable: place.lastCountable,
    entryId,
    kind,
    header,
    clientSentAt,
    senderUserId: ctx.userId,
    senderDeviceId: ctx.deviceId,
    at,
    bodyCiphertext,
  }
}
