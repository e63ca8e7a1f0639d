/** Workloads a, c and the stages: durable sends beside the bare SQL of group commit. */

import { openGround, type Ground } from '../lib/ground.ts'
import { fixed, median, medianPass, medianRatio, ratio, whole, type Percentiles } from '../lib/numbers.ts'
import type { Section, Table } from '../lib/report.ts'
import { startPeer, type Peer } from '../lib/rpc.ts'
import { spendOf, stageNames } from '../lib/stages.ts'
import type { LoadCalls, SenderPlan } from '../load-process.ts'
import type { ServerCalls } from '../server-process.ts'
import type { BareSender, BareSqlCalls } from '../sql-process.ts'
import { databaseNames, type Setting } from './setting.ts'

const PAIRS = 64
const ROOMS = 8
const ROOM_MEMBERS = 8
const PEOPLE = PAIRS * 2
const IN_FLIGHT = [1, 64, 256] as const

const pairMemberships = Array.from({ length: PAIRS }, (_, index) => [2 * index, 2 * index + 1])
const roomMemberships = Array.from({ length: ROOMS }, (_, room) =>
  Array.from({ length: ROOM_MEMBERS }, (_member, member) => member * ROOMS + room),
)

interface Bed {
  readonly ground: Ground
  readonly server: Peer<ServerCalls>
  readonly load: Peer<LoadCalls>
  readonly sql: Peer<BareSqlCalls>
  readonly url: string
  readonly pairs: readonly string[]
  readonly rooms: readonly string[]
}

interface Pass extends Percentiles {
  readonly perSecond: number
  /** Messages in one transaction, on average. */
  readonly batch: number
  /** Per message: the server's main thread, its other threads, PostgreSQL, the load generator. */
  readonly cpuUs: { readonly main: number; readonly others: number; readonly database: number; readonly load: number }
}

interface Shape {
  readonly name: string
  senders(bed: Bed, inFlight: number): readonly SenderPlan[]
  /** The same of the reference: one for each message on the way. */
  bareSenders(inFlight: number): readonly BareSender[]
}

/** `inFlight` messages over as many senders as there are, evenly. */
function spread(slots: readonly Omit<SenderPlan, 'inFlight'>[], inFlight: number): readonly SenderPlan[] {
  const used = slots.slice(0, inFlight)
  return used.map((slot, index) => ({
    ...slot,
    inFlight: Math.floor(inFlight / used.length) + (index < inFlight % used.length ? 1 : 0),
  }))
}

const oneSender: Shape = {
  name: 'one sender per conversation',
  bareSenders: (inFlight) =>
    Array.from({ length: inFlight }, (_, at) => ({ person: 2 * (at % PAIRS), conversation: at % PAIRS })),
  senders: ({ pairs }, inFlight) =>
    spread(
      pairs.map((conversationId, index) => ({ device: 2 * index, conversationId })),
      inFlight,
    ),
}
const severalSenders: Shape = {
  name: `${ROOM_MEMBERS} senders per conversation`,
  bareSenders: (inFlight) =>
    Array.from({ length: inFlight }, (_, at) => ({
      person: at % (ROOMS * ROOM_MEMBERS),
      conversation: PAIRS + (at % ROOMS),
    })),
  senders: ({ rooms }, inFlight) =>
    spread(
      Array.from({ length: ROOMS * ROOM_MEMBERS }, (_, index) => ({
        device: index,
        conversationId: rooms[index % ROOMS]!,
      })),
      inFlight,
    ),
}

export async function measureDurableSends(setting: Setting): Promise<readonly Section[]> {
  await using ground = await openGround(setting.kind)
  await using server = startPeer<ServerCalls>('server-process.ts')
  await using sql = startPeer<BareSqlCalls>('sql-process.ts')
  await using load = startPeer<LoadCalls>('load-process.ts')
  const { url } = await server.call('start', { env: await ground.place('server') })
  const memberships = [...pairMemberships, ...roomMemberships]
  const sizes = await sql.call('start', { env: await ground.place('reference'), people: PEOPLE, memberships })
  await server.call('makeClinic', { people: PEOPLE })
  const pairs = await server.call('makeConversations', { memberships: pairMemberships })
  const rooms = await server.call('makeConversations', { memberships: roomMemberships })
  const bed: Bed = { ground, server, load, sql, url, pairs, rooms }
  await connectAll(bed, false)
  await warmUp(setting, bed)
  const tables: Table[] = []
  for (const shape of [oneSender, severalSenders]) tables.push(await compareSends(setting, bed, shape))

  await load.call('disconnect', undefined)
  await connectAll(bed, true)
  const delivering = await compareSends(
    setting,
    bed,
    oneSender,
    'both members live: each message is also delivered to two devices',
  )
  const stages = await measureStages(setting, bed)
  const latency = await measureLatency(setting, bed)
  await load.call('disconnect', undefined)
  await server.call('stop', undefined)
  await sql.call('stop', undefined)
  const name = databaseNames[setting.kind]
  return [
    {
      title: `a · Durable sends, ${name}`,
      about:
        `From the socket command to its acknowledgement after the commit; bodies of 200 bytes (${sizes.body} bytes sealed, the audit event ${sizes.audit}). ` +
        `Beside: the same statements over as many lanes (${sizes.lanes}), on a database of its own, with random bytes for what is sealed or hashed, in two ways. In such commits: as many messages share a commit as ours did in the pass before; this is the same work. In whole commits: all that is on the way in a lane shares one, which only a client can do whose messages all come back at once; a server gets the next ones while it commits.`,
      tables: [...tables, delivering],
    },
    latency,
    stages,
  ]
}

async function connectAll({ server, load, url }: Bed, isLive: boolean): Promise<void> {
  const tickets = await server.call('tickets', { people: Array.from({ length: PEOPLE }, (_, index) => index) })
  await load.call('connect', { url, tickets, isLive })
}

/** Both sides run until their code is compiled for speed, and the tables have some rows. */
async function warmUp({ isQuick }: Setting, bed: Bed): Promise<void> {
  const ms = isQuick ? 2_500 : 6_000
  await bed.load.call('send', { senders: oneSender.senders(bed, 64), warmUpMs: 0, ms })
  await bed.sql.call('run', { senders: oneSender.bareSenders(64), warmUpMs: 0, ms: ms / 2 })
}

async function sendPass(
  setting: Setting,
  bed: Bed,
  shape: Shape,
  inFlight: number,
): Promise<Pass & { delivered: number }> {
  const { warmUpMs, ms } = setting
  const before = await bed.server.call('figures', undefined)
  const databaseBefore = bed.ground.databaseCpuUs()
  const sent = await bed.load.call('send', { senders: shape.senders(bed, inFlight), warmUpMs, ms })
  const after = await bed.server.call('figures', undefined)
  // The figures of the server include the warm-up, so they are divided by all the messages of the call.
  const all = (sent.acknowledged / ms) * (ms + warmUpMs)
  const main = after.mainUs - before.mainUs
  return {
    ...sent,
    perSecond: sent.acknowledged / sent.seconds,
    delivered: sent.delivered / sent.seconds,
    batch: all / (after.batches - before.batches),
    cpuUs: {
      main: main / all,
      others: (after.cpuUs - before.cpuUs - main) / all,
      database: (bed.ground.databaseCpuUs() - databaseBefore) / all,
      load: sent.cpuUs / sent.acknowledged,
    },
  }
}

async function barePass({ warmUpMs, ms }: Setting, bed: Bed, shape: Shape, inFlight: number, batchMax = inFlight) {
  const before = bed.ground.databaseCpuUs()
  const ran = await bed.sql.call('run', { senders: shape.bareSenders(inFlight), warmUpMs, ms, batchMax })
  const database = ((bed.ground.databaseCpuUs() - before) * ms) / (ms + warmUpMs)
  return {
    ...ran,
    perSecond: ran.acknowledged / ran.seconds,
    main: ran.mainUs / ran.acknowledged,
    database: (ran.cpuUs - ran.mainUs + database) / ran.acknowledged,
  }
}

const perSecondOf = ({ perSecond }: { readonly perSecond: number }): number => perSecond
const timesOf = ({ p50, p95, p99 }: Percentiles): string => [p50, p95, p99].map((value) => fixed(value)).join(' / ')

async function compareSends(setting: Setting, bed: Bed, shape: Shape, caption: string = shape.name): Promise<Table> {
  const { passes } = setting
  const rows: string[][] = []
  for (const inFlight of IN_FLIGHT) {
    const ours = []
    const alike = []
    const full = []
    for (let pass = 0; pass < passes; pass++) {
      full.push(await barePass(setting, bed, shape, inFlight))
      const our = await sendPass(setting, bed, shape, inFlight)
      ours.push(our)
      alike.push(await barePass(setting, bed, shape, inFlight, Math.max(1, Math.round(our.batch))))
    }
    const our = medianPass(ours, perSecondOf)
    const reference = medianPass(alike, perSecondOf)
    const { main, others, database } = our.cpuUs
    rows.push([
      String(inFlight),
      whole(our.perSecond),
      timesOf(our),
      fixed(our.batch),
      whole(reference.perSecond),
      timesOf(reference),
      ratio(medianRatio(ours.map(perSecondOf), alike.map(perSecondOf))),
      whole(medianPass(full, perSecondOf).perSecond),
      ratio(medianRatio(ours.map(perSecondOf), full.map(perSecondOf))),
      `${fixed(main, 0)} + ${fixed(others + database, 0)}`,
      `${fixed(reference.main, 0)} + ${fixed(reference.database, 0)}`,
      ratio((reference.main + reference.database) / (main + others + database)),
      fixed(our.cpuUs.load, 0),
      whole(our.delivered),
    ])
    process.stdout.write(`  ${setting.kind}, ${caption}, ${inFlight} in flight: ${rows.at(-1)!.slice(1).join(' | ')}\n`)
  }
  return {
    caption: `${caption[0]!.toUpperCase()}${caption.slice(1)}:`,
    head: [
      'in flight',
      'messages/s',
      'p50 / p95 / p99 ms',
      'messages per commit',
      'bare SQL/s in such commits',
      'its p50 / p95 / p99 ms',
      'ratio',
      'bare SQL/s in whole commits',
      'ratio to those',
      'CPU µs/message: main thread + database and others',
      'the same of bare in such commits',
      'ratio by CPU',
      'load generator µs',
      'deliveries/s',
    ],
    rows,
  }
}

async function measureLatency(setting: Setting, bed: Bed): Promise<Section> {
  const tops = []
  for (let pass = 0; pass < setting.passes; pass++) tops.push((await sendPass(setting, bed, oneSender, 256)).perSecond)
  const perSecond = median(tops) / 2
  const passes = []
  const bare = []
  const times = { perSecond, warmUpMs: setting.warmUpMs, ms: setting.ms * 2 }
  for (let pass = 0; pass < setting.passes; pass++) {
    bare.push(await bed.sql.call('runAtRate', { senders: oneSender.bareSenders(PAIRS), ...times }))
    passes.push(await bed.load.call('sendAtRate', { senders: oneSender.senders(bed, PAIRS), ...times }))
  }
  const typical = medianPass(passes, (pass) => pass.p99)
  const reference = medianPass(bare, (pass) => pass.p99)
  const row = [
    whole(perSecond),
    whole(typical.arrived / typical.seconds),
    String(passes.reduce((sum, { lost }) => sum + lost, 0)),
    ...[typical.p50, typical.p95, typical.p99].map((value) => fixed(value)),
    whole(reference.arrived / reference.seconds),
    ...[reference.p50, reference.p95, reference.p99].map((value) => fixed(value)),
  ]
  process.stdout.write(`  ${setting.kind}, end to end: ${row.join(' | ')}\n`)
  const head = ['p50 ms', 'p95 ms', 'p99 ms']
  return {
    title: `c · End to end at half of the maximum, ${databaseNames[setting.kind]}`,
    about:
      'From the instant at which a message was due to its frame at both members, in conversations of two, at half of the rate of 256 in flight. ' +
      'Beside: the bare SQL at the same rate, from the same instant to its commit, which reaches nobody.',
    tables: [
      {
        head: ['offered/s', 'arrived/s', 'lost', ...head, 'bare SQL/s', ...head.map((name) => `its ${name}`)],
        rows: [row],
      },
    ],
  }
}

const FUNCTIONS_SHOWN = 25

async function measureStages(setting: Setting, bed: Bed): Promise<Section> {
  const inFlight = 64
  await bed.server.call('startProfile', undefined)
  const before = await bed.server.call('figures', undefined)
  const databaseBefore = bed.ground.databaseCpuUs()
  const ms = setting.ms * 2
  const sent = await bed.load.call('send', { senders: oneSender.senders(bed, inFlight), warmUpMs: 0, ms })
  const database = bed.ground.databaseCpuUs() - databaseBefore
  const after = await bed.server.call('figures', undefined)
  const spent = spendOf(await bed.server.call('stopProfile', undefined))
  const count = sent.acknowledged
  const main = after.mainUs - before.mainUs
  // Samples are taken by the wall clock, also while another process has the core: scaled, they add up to the CPU's time.
  const isWork = (stage: string) => stage !== 'idle' && stage !== 'profiler'
  const work = stageNames.filter(isWork).reduce((sum, stage) => sum + (spent.stages.get(stage) ?? 0), 0)
  const scale = Math.min(1, main / work)
  const each = (us: number) => fixed(us / count)
  const rows = stageNames
    .filter(isWork)
    .map((stage) => [stage, each((spent.stages.get(stage) ?? 0) * scale)])
    .toSorted((a, b) => Number(b[1]) - Number(a[1]))
  rows.push(
    ['**main thread, by its own clock**', each(main)],
    ['other threads of the server', each(after.cpuUs - before.cpuUs - main)],
    ['processes of PostgreSQL', each(database)],
    ['wall clock: main thread idle, waiting for SQL or load', each(spent.stages.get('idle') ?? 0)],
  )
  const functions = spent.functions
    .filter(({ name, place }) => name !== '(idle)' && !place.startsWith('node:inspector'))
    .slice(0, FUNCTIONS_SHOWN)
    .map(({ name, place, us }) => [each(us * scale), `\`${name}\``, place])
  for (const row of rows) process.stdout.write(`    ${row.join(': ')}\n`)
  return {
    title: `Where the time goes, ${databaseNames[setting.kind]}`,
    about: `CPU microseconds per message by stage, ${inFlight} in flight, both members live, ${whole(count / sent.seconds)} messages/s under the profiler (which costs some). A stage is found by the nearest function that is ours (\`bench/lib/stages.ts\`).`,
    tables: [
      { head: ['stage', 'µs/message'], rows },
      {
        caption: `The ${FUNCTIONS_SHOWN} most expensive functions:`,
        head: ['µs/message', 'function', 'place'],
        rows: functions,
      },
    ],
  }
}
