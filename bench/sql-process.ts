/**
 * The reference of durable sends: the statements of the appender, in its order, with its batches, on rows of the same
 * size whose ciphertexts are random bytes made beforehand. No socket, no JSON, no permission, no hash, no encryption.
 */

import type { ConversationId, EntryId } from '@sotto/protocol'
import { loadConfig, migratePostgres, openKeyring, type Composition } from '@sotto/server'
import { insertAuditRows, type AuditRow } from '../apps/server/src/domains/audit/audit-store.ts'
import { lockMembers } from '../apps/server/src/domains/conversations/conversation-store.ts'
import {
  findKnownEntries,
  findTakenEntryIds,
  insertEntries,
  lockConversationLogs,
  type PlacedEntry,
} from '../apps/server/src/domains/conversations/log-store.ts'
import { findSessions } from '../apps/server/src/domains/identity/session-store.ts'
import { compose } from '../apps/server/src/main/compose.ts'
import { ensureSystemTenant } from '../apps/server/src/main/deployment.ts'
import { findDeploymentId } from '../apps/server/src/platform/db/deployment-id.ts'
import { openDatabase } from '../apps/server/src/main/open-ground.ts'
import { scopeOf } from '../apps/server/src/platform/context/context.ts'
import { statement, type LaneTx } from '../apps/server/src/platform/db/tx.ts'
import { laneOf } from '../apps/server/src/platform/db/group-commit.ts'
import { createIds, systemRandom } from '../apps/server/src/platform/ids/ids.ts'
import { createLog } from '../apps/server/src/platform/log/log.ts'
import { instant, systemClock } from '../apps/server/src/platform/time/clock.ts'
import { BENCH_ARGON2, createClinic, createConversations, sendMany, type Person } from './lib/clinic.ts'
import { percentilesOf } from './lib/numbers.ts'
import { pace } from './lib/pace.ts'
import { readUsage } from './lib/process-figures.ts'
import { serveCalls } from './lib/rpc.ts'

let composition: Composition
let people: readonly Person[] = []
let conversationIds: readonly ConversationId[] = []
/** Who sends where, by their places in `people` and `conversationIds`. */
export interface BareSender {
  readonly person: number
  readonly conversation: number
}
let sizes: { readonly body: number; readonly audit: number }
const ids = createIds(systemClock, systemRandom)
const bytes = (length: number) => Buffer.from(systemRandom.bytes(length))

interface Send {
  readonly sender: Person
  readonly conversationId: ConversationId
  readonly lane: number
  startedAt: number
}

function sendOf({ person, conversation }: BareSender, startedAt: number): Send {
  const conversationId = conversationIds[conversation]!
  return { sender: people[person]!, conversationId, lane: laneOf(conversationId, composition.db.lanes), startedAt }
}

/**
 * Lookups in one round trip, then all writes and the commit in another: without anything to do meanwhile, writing a large
 * batch in parts, as the appender does it, would only cost more.
 */
async function runBatch(tx: LaneTx, sends: readonly Send[]): Promise<void> {
  const { tenantId } = people[0]!.ctx
  tx.enterTenant(tenantId)
  const keys = sends.map(({ conversationId, sender }) => ({
    conversationId,
    userId: sender.ctx.userId,
    deviceId: sender.ctx.deviceId,
    entryId: ids.next<EntryId>(),
  }))
  const [ends] = await Promise.all([
    lockConversationLogs(
      tx,
      tenantId,
      keys.map((key) => key.conversationId),
    ),
    lockMembers(tx, tenantId, keys),
    findSessions(tx, tenantId, [...new Set(sends.map(({ sender }) => sender.ctx.sessionId))]),
    findKnownEntries(tx, tenantId, keys),
    findTakenEntryIds(tx, tenantId, keys),
  ])
  const moved = new Map([...ends].map(([id, end]) => [id, { seq: end.lastSeq, countable: end.lastCountable }]))
  const at = instant(Date.now())
  const entries: PlacedEntry[] = keys.map(({ conversationId, userId, deviceId, entryId }) => {
    const end = moved.get(conversationId)!
    end.seq++
    end.countable++
    return {
      conversationId,
      entryId,
      seq: end.seq,
      countable: end.countable,
      kind: 'application',
      at,
      clientSentAt: null,
      senderUserId: userId,
      senderDeviceId: deviceId,
      header,
      bodyCiphertext: body,
      bodyHash: hash,
    }
  })
  const rows: AuditRow[] = keys.map(() => ({
    auditEventId: ids.at(at),
    at,
    class: 'message.send',
    outcome: 'success',
    subjectUserId: null,
    commitment: hash,
    actorIndex: hash,
    subjectIndex: null,
    resourceIndex: hash,
    bodyEncrypted: auditBody,
  }))
  insertAuditRows(tx, tenantId, rows)
  insertEntries(tx, tenantId, entries)
}

const header = { counts: true, priority: 'routine', notify: 'normal' } as const
const hash = bytes(32)
let body: Buffer
let auditBody: Buffer

const calls = {
  async start({ env, people: count, memberships }: StartInput) {
    const config = loadConfig(env)
    if (config.database.kind === 'postgres') await migratePostgres(config, { isDryRun: false, mayCreateKeyring: true })
    const keyring = await openKeyring(config, { mayCreate: true })
    const log = createLog({ level: 'warn' })
    const db = await openDatabase(config, keyring, log, (error) => {
      throw error
    })
    const deploymentId = await findDeploymentId(db)
    composition = compose({ config, db, keyring, log, deploymentId, argon2: BENCH_ARGON2 })
    await ensureSystemTenant(composition)
    people = await createClinic(composition, count)
    conversationIds = await createConversations(composition, people, memberships)
    sizes = await sampleSizes()
    body = bytes(sizes.body)
    auditBody = bytes(sizes.audit)
    return { ...sizes, lanes: db.lanes }
  },
  /** Closed loop: every send of a lane goes again, behind those that wait; `batchMax` of them share a commit. */
  async run(input: Timed & { readonly batchMax?: number }) {
    const { db } = composition
    const lanes: Send[][] = Array.from({ length: db.lanes }, () => [])
    for (const sender of input.senders) {
      const send = sendOf(sender, performance.now())
      lanes[send.lane]!.push(send)
    }
    const begin = performance.now() + input.warmUpMs
    const end = begin + input.ms
    const samples: number[] = []
    let usage = readUsage()
    setTimeout(() => (usage = readUsage()), input.warmUpMs)
    await Promise.all(
      lanes.map(async (sends, lane) => {
        while (sends.length > 0 && performance.now() < end) {
          const batch = sends.splice(0, input.batchMax ?? sends.length)
          await db.lane(lane).withTx((tx) => runBatch(tx, batch))
          const now = performance.now()
          for (const send of batch) {
            if (now >= begin) samples.push(now - send.startedAt)
            send.startedAt = now
          }
          sends.push(...batch)
        }
      }),
    )
    const seconds = (performance.now() - begin) / 1000
    return {
      acknowledged: samples.length,
      seconds,
      cpuUs: readUsage().cpuUs - usage.cpuUs,
      mainUs: readUsage().mainUs - usage.mainUs,
      ...percentilesOf(samples),
    }
  },
  /** Open loop: each lane commits what has come since its last batch. */
  async runAtRate(input: Timed & { readonly perSecond: number }) {
    const { db } = composition
    const begin = performance.now() + input.warmUpMs
    const end = begin + input.ms
    const samples: number[] = []
    const queues: Send[][] = Array.from({ length: db.lanes }, () => [])
    const running = new Map<number, Promise<void>>()
    const drain = async (lane: number) => {
      for (let sends = queues[lane]!.splice(0); sends.length > 0; sends = queues[lane]!.splice(0)) {
        await db.lane(lane).withTx((tx) => runBatch(tx, sends))
        const now = performance.now()
        if (now >= begin && now < end) for (const send of sends) samples.push(now - send.startedAt)
      }
      running.delete(lane)
    }
    await pace(
      input.perSecond,
      () => performance.now() >= end,
      (count, dueAt) => {
        const send = sendOf(input.senders[count % input.senders.length]!, dueAt)
        queues[send.lane]!.push(send)
        if (!running.has(send.lane)) running.set(send.lane, drain(send.lane))
      },
    )
    await Promise.all(running.values())
    return { arrived: samples.length, seconds: input.ms / 1000, ...percentilesOf(samples) }
  },
  stop: () => composition.db[Symbol.asyncDispose](),
}

interface StartInput {
  readonly env: Readonly<Record<string, string>>
  readonly people: number
  readonly memberships: readonly (readonly number[])[]
}

interface Timed {
  readonly senders: readonly BareSender[]
  readonly warmUpMs: number
  readonly ms: number
}

const lengths = statement<{ body: number; audit: number }>(
  'bench.lengths',
  `select (select max(octet_length(body_ciphertext)) from entry where conversation_id = $1) as body,
     (select max(octet_length(b.body_encrypted)) from audit_event e join audit_body b using (tenant_id, created_at, audit_event_id)
      where e.class = 'message.send') as audit`,
)

/** What one real message takes at rest. */
async function sampleSizes(): Promise<{ readonly body: number; readonly audit: number }> {
  const [person] = people
  await sendMany(composition, person!, conversationIds[0]!, 1)
  const [row] = await composition.db.withTx(scopeOf(person!.ctx), (tx) => tx.rows(lengths, [conversationIds[0]!]))
  return row!
}

export type BareSqlCalls = typeof calls

serveCalls(calls)
