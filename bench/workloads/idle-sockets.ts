/** Workload d: idle sockets of people who are signed in, beside a bare `ws` server. */

import { fixed, whole } from '../lib/numbers.ts'
import type { Section } from '../lib/report.ts'
import { startPeer, type Peer } from '../lib/rpc.ts'
import type { LoadCalls } from '../load-process.ts'
import type { ServerCalls } from '../server-process.ts'
import type { BareSocketCalls } from '../ws-process.ts'
import { databaseNames, type Setting } from './setting.ts'

const TICKETS_AT_ONCE = 250

/** @returns how many sockets are open now: all of `people`, or as many as there was time for */
export async function connectAll(
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

/** On a busy machine fewer than all sockets are weighed; the table says how many. */
const CONNECTING_MS_MAX = 60_000

export async function measureIdle(
  setting: Setting,
  server: Peer<ServerCalls>,
  url: string,
  people: number,
): Promise<Section> {
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
