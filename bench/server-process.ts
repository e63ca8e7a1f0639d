/** The server under test, in a process of its own, started by the code that starts every server. */

import { Session } from 'node:inspector/promises'
import { Socket } from 'node:net'
import type { ConversationId, TenantId } from '@sotto/protocol'
import { loadConfig, migratePostgres, startServer, type RunningServer } from '@sotto/server'
import type { StoredEntry } from '../apps/server/src/domains/conversations/conversation.model.ts'
import { entryAppended } from '../apps/server/src/domains/conversations/conversations.topics.ts'
import { listLogEntries } from '../apps/server/src/domains/conversations/log-store.ts'
import { scopeOf } from '../apps/server/src/platform/context/context.ts'
import { statement, type Db } from '../apps/server/src/platform/db/tx.ts'
import { BENCH_ARGON2, createClinic, createConversations, inParallel, sendMany, type Person } from './lib/clinic.ts'
import { startRounds, stopRounds } from './lib/rounds.ts'
import { percentilesOf } from './lib/numbers.ts'
import { readMemory, readUsage } from './lib/process-figures.ts'
import { serveCalls } from './lib/rpc.ts'

let server: RunningServer
let people: readonly Person[] = []
const profiler = new Session()

/** Every write to a client's socket: how many frames one carried on average follows from it. */
let writes = 0
const { write } = Socket.prototype
Socket.prototype.write = function count(this: Socket & { readonly server?: unknown }, ...written: unknown[]) {
  // Node gives the sockets that were accepted the server that accepted them; those to PostgreSQL have none.
  if (this.server) writes++
  return write.apply(this, written as never)
}

/** Transactions of group commit: how many messages one carried on average follows from it. */
let batches = 0
function countBatches(db: Db): void {
  const { lane } = db
  db.lane = (index) => {
    const { withTx } = lane(index)
    return { withTx: (fn) => (batches++, withTx(fn)) }
  }
}

interface Fill {
  readonly person: number
  readonly conversationId: ConversationId
  readonly count: number
}

/** Rows of the size of real ones; what stands in them opens to nothing. */
const fillLog = statement(
  'bench.fill-log',
  `insert into entry (tenant_id, conversation_id, seq, countable, entry_id, kind, sender_user_id, sender_device_id,
     header, body_ciphertext, created_at)
   select $1, $2, seq, seq - 1, gen_random_uuid(), 'application', $3, $4, $5, decode(repeat(md5(seq::text), 20), 'hex'), now()
   from generate_series(2, $6::bigint) seq`,
)
const moveEnd = statement(
  'bench.move-end',
  'update conversation set last_seq = $3::bigint, last_countable = $3::bigint - 1 where tenant_id = $1 and conversation_id = $2',
)
/** What a reader opens is real: the last entries are sent. */
const SENT = 60

interface RoundsInput {
  readonly conversationIds: readonly string[]
  readonly framesPerWrite: number
}

async function readLast(tenantId: TenantId, conversationId: string): Promise<StoredEntry> {
  const range = { afterSeq: 0, beforeSeq: Number.MAX_SAFE_INTEGER, limit: 1, from: 'end' } as const
  const [last] = await server.composition.db.withTx(scopeOf({ tenantId }), (tx) =>
    listLogEntries(tx, tenantId, { ...range, conversationId: conversationId as ConversationId }),
  )
  return last!
}

const calls = {
  async start({ env }: { readonly env: Readonly<Record<string, string>> }) {
    const config = loadConfig(env)
    if (config.database.kind === 'postgres') {
      await migratePostgres(config, { isDryRun: false, mayCreateKeyring: true })
    }
    server = await startServer({ config, argon2: BENCH_ARGON2, mayCreateKeyring: true })
    countBatches(server.composition.db)
    return { url: server.url }
  },
  async makeClinic(input: { readonly people: number }) {
    people = await createClinic(server.composition, input.people)
  },
  makeConversations: (input: { readonly memberships: readonly (readonly number[])[] }) =>
    createConversations(server.composition, people, input.memberships),
  tickets: (input: { readonly people: readonly number[] }) =>
    inParallel(input.people.length, async (index) => {
      const { ticket } = await server.composition.operations.createSocketTicket(people[input.people[index]!]!.ctx, {})
      return ticket
    }),
  accessToken: (input: { readonly person: number }) => people[input.person]!.accessToken,
  async fill({ person, conversationId, count }: Fill) {
    const { ctx } = people[person]!
    const { tenantId, userId, deviceId } = ctx
    const header = { counts: true, priority: 'routine', notify: 'normal' }
    await server.composition.db.withTx(scopeOf(ctx), async (tx) => {
      await tx.run(fillLog, [tenantId, conversationId, userId, deviceId, JSON.stringify(header), count - SENT])
      await tx.run(moveEnd, [tenantId, conversationId, count - SENT])
    })
    await sendMany(server.composition, people[person]!, conversationId, SENT)
  },
  /** The bare select of the last entries, in a transaction of its tenant: no permission, no decryption, no audit. */
  async selectLast(input: {
    readonly person: number
    readonly conversationId: ConversationId
    readonly times: number
  }) {
    const { tenantId } = people[input.person]!.ctx
    const range = { afterSeq: 0, beforeSeq: Number.MAX_SAFE_INTEGER, limit: 50, from: 'end' } as const
    const samples: number[] = []
    for (let count = 0; count < input.times; count++) {
      const before = performance.now()
      await server.composition.db.withTx(scopeOf({ tenantId }), (tx) =>
        listLogEntries(tx, tenantId, { ...range, conversationId: input.conversationId }),
      )
      samples.push(performance.now() - before)
    }
    return percentilesOf(samples)
  },
  /** Entries that are stored already, handed to the fan-out as if they were appended now: round by round to all rooms. */
  async startRounds({ conversationIds, framesPerWrite }: RoundsInput) {
    const { bus, registry } = server.composition
    const { tenantId } = people[0]!.ctx
    const ends = await Promise.all(conversationIds.map((conversationId) => readLast(tenantId, conversationId)))
    let round = 0
    startRounds(
      () => {
        for (const entry of ends)
          for (let frame = 1; frame <= framesPerWrite; frame++)
            bus.publish(entryAppended, {
              tenantId,
              entry: { ...entry, seq: entry.seq + round * framesPerWrite + frame },
            })
        round++
      },
      () => [...registry.all()].every(({ outgoing }) => outgoing.waitingBytes === 0),
    )
  },
  stopRounds,
  figures: () => ({ ...readUsage(), writes, batches }),
  memory: readMemory,
  async startProfile() {
    profiler.connect()
    await profiler.post('Profiler.enable')
    await profiler.post('Profiler.setSamplingInterval', { interval: 500 })
    await profiler.post('Profiler.start')
  },
  async stopProfile() {
    const { profile } = await profiler.post('Profiler.stop')
    profiler.disconnect()
    return profile
  },
  stop: () => server[Symbol.asyncDispose](),
}

export type ServerCalls = typeof calls

serveCalls(calls)
