/**
 * The reference of durable sends: the statements of the appender, in its order, with its batches, on rows of the same
 * size whose ciphertexts are random bytes made beforehand. No socket, no JSON, no permission, no hash, no encryption.
 */

import type { ConversationId, EntryId } from '@sotto/protocol'
import { loadConfig, migratePostgres, openKeyring, type Composition } from '@sotto/server'
import { insertAuditRows, type AuditRow } from '../apps/server/src/domains/audit/audit-store.ts'
import { lockSenders } from '../apps/server/src/domains/conversations/conversation-store.ts'
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
import { readUsage } from './lib/process-figures.ts'
import { serveCalls } from './lib/rpc.ts'

let composition: Composition
let people: readonly Person[] = []
let conversationIds: readonly ConversationId[] = []
let sizes: { readonly body: number; readonly audit: number }
const ids = createIds(systemClock, systemRandom)
const bytes = (length: number) => Buffer.from(systemRandom.bytes(length))

interface Send {
  readonly sender: Person
  readonly conversationId: ConversationId
  startedAt: number
}

/** Lookups in one round trip, then both writes and the commit in another, as the appender does it. */
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
    lockSenders(tx, tenantId, keys),
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
  async start({ env, people: count, conversations }: StartInput) {
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
    const memberships = Array.from({ length: conversations }, (_, index) => [
      (2 * index) % count,
      (2 * index + 1) % count,
    ])
    conversationIds = await createConversations(composition, people, memberships)
    sizes = await sampleSizes()
    body = bytes(sizes.body)
    auditBody = bytes(sizes.audit)
    return sizes
  },
  async run(input: {
    readonly inFlight: number
    readonly conversations: number
    readonly warmUpMs: number
    readonly ms: number
  }) {
    const { db } = composition
    const used = conversationIds.slice(0, input.conversations)
    const lanes: Send[][] = Array.from({ length: db.lanes }, () => [])
    for (let count = 0; count < input.inFlight; count++) {
      const at = count % used.length
      const conversationId = used[at]!
      const sender = people[(2 * at) % people.length]!
      lanes[laneOf(conversationId, db.lanes)]!.push({ sender, conversationId, startedAt: performance.now() })
    }
    const begin = performance.now() + input.warmUpMs
    const end = begin + input.ms
    const samples: number[] = []
    let batches = 0
    let usage = readUsage()
    setTimeout(() => (usage = readUsage()), input.warmUpMs)
    await Promise.all(
      lanes.map(async (sends, lane) => {
        while (sends.length > 0 && performance.now() < end) {
          await db.lane(lane).withTx((tx) => runBatch(tx, sends))
          const now = performance.now()
          if (now >= begin) batches++
          for (const send of sends) {
            if (now >= begin) samples.push(now - send.startedAt)
            send.startedAt = now
          }
        }
      }),
    )
    const seconds = (performance.now() - begin) / 1000
    return {
      acknowledged: samples.length,
      seconds,
      batch: samples.length / batches,
      cpuUs: readUsage().cpuUs - usage.cpuUs,
      mainUs: readUsage().mainUs - usage.mainUs,
      ...percentilesOf(samples),
    }
  },
  stop: () => composition.db[Symbol.asyncDispose](),
}

interface StartInput {
  readonly env: Readonly<Record<string, string>>
  readonly people: number
  readonly conversations: number
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
