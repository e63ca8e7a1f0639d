/** The server under test, in a process of its own, started by the code that starts every server. */

import { Session } from 'node:inspector/promises'
import { Socket } from 'node:net'
import type { ConversationId } from '@sotto/protocol'
import { loadConfig, migratePostgres, startServer, type RunningServer } from '@sotto/server'
import { listLogEntries } from '../apps/server/src/domains/conversations/log-store.ts'
import { scopeOf } from '../apps/server/src/platform/context/context.ts'
import { BENCH_ARGON2, createClinic, createConversations, inParallel, sendMany, type Person } from './lib/clinic.ts'
import { percentilesOf } from './lib/numbers.ts'
import { readMemory, readUsage } from './lib/process-figures.ts'
import { serveCalls } from './lib/rpc.ts'

let server: RunningServer
let people: readonly Person[] = []
const profiler = new Session()

/** Every write to a socket: how many frames one carried on average follows from it. */
let writes = 0
const { write } = Socket.prototype
Socket.prototype.write = function count(this: Socket, ...written: unknown[]) {
  writes++
  return write.apply(this, written as never)
}

interface SendMany {
  readonly person: number
  readonly conversationId: ConversationId
  readonly count: number
  readonly msMax: number
}

const calls = {
  async start({ env }: { readonly env: Readonly<Record<string, string>> }) {
    const config = loadConfig(env)
    if (config.database.kind === 'postgres') {
      await migratePostgres(config, { isDryRun: false, mayCreateKeyring: true })
    }
    server = await startServer({ config, argon2: BENCH_ARGON2, mayCreateKeyring: true })
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
  sendMany: (input: SendMany) =>
    sendMany(server.composition, people[input.person]!, input.conversationId, input.count, input.msMax),
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
  figures: () => ({ ...readUsage(), writes }),
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
