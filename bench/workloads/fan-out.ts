/** Workloads b and d: many sockets, busy and idle, beside a bare `ws` server. */

import { openGround } from '../lib/ground.ts'
import { fixed, medianPass, medianRatio, ratio, whole } from '../lib/numbers.ts'
import type { Section } from '../lib/report.ts'
import { startPeer, type Peer } from '../lib/rpc.ts'
import type { LoadCalls } from '../load-process.ts'
import type { ServerCalls } from '../server-process.ts'
import type { BareSocketCalls } from '../ws-process.ts'
import { databaseNames, type Setting } from './setting.ts'

const ROOM_MEMBERS = 50
/** Messages on the way in each room: what is acknowledged together is sent on together, and arrives in one write. */
const IN_FLIGHT = 4
const TICKETS_AT_ONCE = 250

export interface Wanted {
  readonly fanOut: boolean
  readonly idle: boolean
}

export async function measureSockets(setting: Setting, wanted: Wanted): Promise<readonly Section[]> {
  const sockets = setting.isQuick ? 100 : 1_000
  await using ground = await openGround(setting.kind)
  await using server = startPeer<ServerCalls>('server-process.ts')
  const { url } = await server.call('start', { env: await ground.place('server') })
  await server.call('makeClinic', { people: sockets })
  const sections: Section[] = []
  if (wanted.idle) sections.push(await measureIdle(setting, server, url, sockets))
  if (wanted.fanOut) sections.unshift(await measureFanOut(setting, server, url, sockets))
  await server.call('stop', undefined)
  return sections
}

/** @returns how many sockets are open now: all of `people`, or as many as there was time for */
async function connectAll(
  server: Peer<ServerCalls>,
  load: Peer<LoadCalls>,
  url: string,
  people: readonly number[],
  msMax = Infinity,
): Promise<number> {
  const deadline = performance.now() + msMax
  let open = 0
  for (let from = 0; from < people.length && performance.now() < deadline; from += TICKETS_AT_ONCE) {
    const tickets = await server.call('tickets', { people: people.slice(from, from + TICKETS_AT_ONCE) })
    open = await load.call('connect', { url, tickets, isLive: true })
  }
  return open
}

async function measureFanOut(
  setting: Setting,
  server: Peer<ServerCalls>,
  url: string,
  sockets: number,
): Promise<Section> {
  await using load = startPeer<LoadCalls>('load-process.ts')
  await using bareLoad = startPeer<LoadCalls>('load-process.ts')
  await using bare = startPeer<BareSocketCalls>('ws-process.ts')
  const rooms = sockets / ROOM_MEMBERS
  const memberships = Array.from({ length: rooms }, (_, room) =>
    Array.from({ length: ROOM_MEMBERS }, (_, member) => room * ROOM_MEMBERS + member),
  )
  const conversationIds = await server.call('makeConversations', { memberships })
  await connectAll(
    server,
    load,
    url,
    Array.from({ length: sockets }, (_, index) => index),
  )
  const senders = conversationIds.map((conversationId, room) => ({
    device: room * ROOM_MEMBERS,
    conversationId,
    inFlight: IN_FLIGHT,
  }))
  const { url: bareUrl } = await bare.call('start', undefined)
  for (let room = 0; room < rooms; room++)
    await bareLoad.call('connectBare', { url: bareUrl, count: ROOM_MEMBERS, room })

  const { warmUpMs, ms, passes } = setting
  // Each device's live delivery is opened before anything is measured.
  await load.call('send', { senders, warmUpMs: 500, ms: 500 })
  const ours = []
  const reference = []
  for (let pass = 0; pass < passes; pass++) {
    const before = await server.call('figures', undefined)
    const sent = await load.call('send', { senders, warmUpMs, ms })
    const after = await server.call('figures', undefined)
    const all = (sent.delivered / ms) * (ms + warmUpMs)
    const framesPerWrite = all / (after.writes - before.writes)
    ours.push({
      ...sent,
      perSecond: sent.delivered / sent.seconds,
      cpuUs: (after.mainUs - before.mainUs) / all,
      framesPerWrite,
    })
    const perWrite = Math.max(1, Math.round(framesPerWrite))
    await bare.call('coalesce', { framesPerWrite: perWrite })
    const bareBefore = await bare.call('figures', undefined)
    const echoed = await bareLoad.call('echo', {
      senders: senders.map(({ device }) => ({ device, inFlight: 2 * perWrite })),
      frameBytes: sent.frameBytes,
      warmUpMs,
      ms,
    })
    const bareAfter = await bare.call('figures', undefined)
    const bareAll = (echoed.delivered / ms) * (ms + warmUpMs)
    reference.push({
      perSecond: echoed.delivered / echoed.seconds,
      cpuUs: (bareAfter.mainUs - bareBefore.mainUs) / bareAll,
      perWrite,
    })
  }
  await load.call('disconnect', undefined)
  const our = medianPass(ours, (pass) => pass.perSecond)
  const beside = medianPass(reference, (pass) => pass.perSecond)
  const part = medianRatio(
    ours.map((pass) => pass.perSecond),
    reference.map((pass) => pass.perSecond),
  )
  const row = [
    `${rooms} × ${ROOM_MEMBERS}`,
    whole(our.perSecond),
    fixed(our.framesPerWrite),
    fixed(our.cpuUs),
    whole(beside.perSecond),
    String(beside.perWrite),
    fixed(beside.cpuUs),
    ratio(part),
    ratio(beside.cpuUs / our.cpuUs),
  ]
  process.stdout.write(`  ${setting.kind}, fan-out: ${row.join(' | ')}\n`)
  return {
    title: `b · Fan-out, ${databaseNames[setting.kind]}`,
    about:
      `Rooms of ${ROOM_MEMBERS}, ${IN_FLIGHT} durable messages on the way in each, every member on a live socket; what arrives is counted at the clients. ` +
      'Beside: a bare `ws` server passing on frames of the same size, as many in one write, without a database behind it. CPU is that of the thread that runs JavaScript, durable sends included.',
    tables: [
      {
        head: [
          'rooms',
          'deliveries/s',
          'frames per write',
          'CPU µs/delivery',
          'bare ws/s',
          'its frames per write',
          'its CPU µs',
          'ratio',
          'ratio by CPU',
        ],
        rows: [row],
      },
    ],
  }
}

/** On a busy machine fewer than all sockets are weighed; the table says how many. */
const CONNECTING_MS_MAX = 60_000

async function measureIdle(setting: Setting, server: Peer<ServerCalls>, url: string, people: number): Promise<Section> {
  await using load = startPeer<LoadCalls>('load-process.ts')
  await using bareLoad = startPeer<LoadCalls>('load-process.ts')
  await using bare = startPeer<BareSocketCalls>('ws-process.ts')
  const { url: bareUrl } = await bare.call('start', undefined)
  // The first fifth warms both sides up: what one socket costs is the slope from there on.
  const first = people
  const wanted = people * 5
  const before = performance.now()
  await connectAll(
    server,
    load,
    url,
    Array.from({ length: first }, (_, index) => index),
  )
  const oursFirst = await server.call('memory', undefined)
  const connecting = performance.now()
  const again = Array.from({ length: wanted - first }, (_, index) => index % people)
  const last = await connectAll(server, load, url, again, CONNECTING_MS_MAX)
  const connectsPerSecond = (last - first) / ((performance.now() - connecting) / 1000)
  const oursLast = await server.call('memory', undefined)
  await bareLoad.call('connectBare', { url: bareUrl, count: first, room: 0 })
  const bareFirst = await bare.call('memory', undefined)
  await bareLoad.call('connectBare', { url: bareUrl, count: last - first, room: 0 })
  const bareLast = await bare.call('memory', undefined)
  const perSocket = (from: { rssBytes: number; heapBytes: number }, to: { rssBytes: number; heapBytes: number }) => ({
    rss: (to.rssBytes - from.rssBytes) / (last - first) / 1000,
    heap: (to.heapBytes - from.heapBytes) / (last - first) / 1000,
  })
  const our = perSocket(oursFirst, oursLast)
  const beside = perSocket(bareFirst, bareLast)
  const row = [
    whole(last),
    fixed(our.rss),
    fixed(our.heap),
    fixed(beside.rss),
    fixed(beside.heap),
    `**${fixed(our.rss - beside.rss)}** / **${fixed(our.heap - beside.heap)}**`,
    whole(connectsPerSecond),
  ]
  process.stdout.write(
    `  ${setting.kind}, idle sockets: ${row.join(' | ')} (${fixed((performance.now() - before) / 1000)} s)\n`,
  )
  await load.call('disconnect', undefined)
  return {
    title: `d · Idle signed-in sockets, ${databaseNames[setting.kind]}`,
    about:
      `Each socket has its ticket, its audit record, and is subscribed; ${whole(people)} sessions with up to five sockets each, of people who are in no conversation yet. ` +
      'kB per socket from the first fifth to all of them, after full collections, smallest of several samples; heap is what JavaScript holds with its buffers, and the steadier of the two, because the process keeps room that it had before. Beside: `ws` with as many sockets and nothing else.',
    tables: [
      {
        head: [
          'sockets',
          'RSS kB',
          'heap kB',
          'bare RSS kB',
          'bare heap kB',
          'more than bare, kB: RSS / heap',
          'connects/s',
        ],
        rows: [row],
      },
    ],
  }
}
