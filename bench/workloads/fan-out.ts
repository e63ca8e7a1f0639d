/** Workload b: entries to everyone in busy rooms, beside a bare `ws` server. */

import { openGround } from '../lib/ground.ts'
import { fixed, medianPass, medianRatio, ratio, whole } from '../lib/numbers.ts'
import type { Section } from '../lib/report.ts'
import { startPeer, type Peer } from '../lib/rpc.ts'
import type { LoadCalls, SenderPlan } from '../load-process.ts'
import type { ServerCalls } from '../server-process.ts'
import type { BareSocketCalls } from '../ws-process.ts'
import { connectAll, measureIdle } from './idle-sockets.ts'
import { databaseNames, type Setting } from './setting.ts'

const ROOM_MEMBERS = 50
/** Messages on the way in each room: what is acknowledged together is sent on together, and arrives in one write. */
const IN_FLIGHT = 4

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

interface Bed {
  readonly setting: Setting
  readonly server: Peer<ServerCalls>
  readonly load: Peer<LoadCalls>
  readonly bare: Peer<BareSocketCalls>
  readonly bareLoad: Peer<LoadCalls>
  readonly conversationIds: readonly string[]
  readonly senders: readonly SenderPlan[]
  /** Of one entry, as it arrives. */
  frameBytes: number
}

interface Pass {
  readonly perSecond: number
  readonly framesPerWrite: number
  /** Of the thread that runs JavaScript, per delivery. */
  readonly cpuUs: number
}

interface Kind {
  readonly name: string
  ours(bed: Bed): Promise<Pass>
  bare(bed: Bed, ours: Pass): Promise<Pass>
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
  const everyone = Array.from({ length: sockets }, (_, index) => index)
  const memberships = Array.from({ length: rooms }, (_, room) =>
    everyone.slice(room * ROOM_MEMBERS, (room + 1) * ROOM_MEMBERS),
  )
  const conversationIds = await server.call('makeConversations', { memberships })
  await connectAll(server, load, url, everyone)
  const senders = conversationIds.map((conversationId, room) => ({
    device: room * ROOM_MEMBERS,
    conversationId,
    inFlight: IN_FLIGHT,
  }))
  const { url: bareUrl } = await bare.call('start', undefined)
  for (let room = 0; room < rooms; room++)
    await bareLoad.call('connectBare', { url: bareUrl, count: ROOM_MEMBERS, room })

  // Each device's live delivery is opened before anything is measured.
  const { frameBytes } = await load.call('send', { senders, warmUpMs: 500, ms: 500 })
  const bed: Bed = { setting, server, load, bare, bareLoad, conversationIds, senders, frameBytes }
  const rows: (readonly string[])[] = []
  for (const kind of [withDurableSends, alone]) rows.push(await measureKind(bed, kind, rooms))
  await load.call('disconnect', undefined)
  return {
    title: `b · Fan-out, ${databaseNames[setting.kind]}`,
    about:
      `${rooms} rooms of ${ROOM_MEMBERS}, every member on a live socket; what arrives is counted at the clients. ` +
      'Alone: entries that are stored already are handed to the fan-out, which finds who may see them, opens and serialises each once, and writes, round by round; a bare `ws` server does its rounds with frames of the same size, as many in one write. ' +
      `With durable sends: ${IN_FLIGHT} messages on the way in each room, from the command to every member; beside, clients whose frames the bare server passes on without storing anything. ` +
      'CPU is that of the thread that runs JavaScript.',
    tables: [
      {
        head: [
          'fan-out',
          'deliveries/s',
          'frames per write',
          'CPU µs/delivery',
          'bare ws/s',
          'its frames per write',
          'its CPU µs',
          'ratio',
          'ratio by CPU',
        ],
        rows,
      },
    ],
  }
}

async function measureKind(bed: Bed, kind: Kind, rooms: number): Promise<readonly string[]> {
  const ours: Pass[] = []
  const reference: Pass[] = []
  for (let pass = 0; pass < bed.setting.passes; pass++) {
    const our = await kind.ours(bed)
    ours.push(our)
    reference.push(await kind.bare(bed, our))
  }
  const our = medianPass(ours, (pass) => pass.perSecond)
  const beside = medianPass(reference, (pass) => pass.perSecond)
  const ratioOf = (figure: (pass: Pass) => number) => medianRatio(ours.map(figure), reference.map(figure))
  const row = [
    kind.name,
    whole(our.perSecond),
    fixed(our.framesPerWrite),
    fixed(our.cpuUs),
    whole(beside.perSecond),
    fixed(beside.framesPerWrite),
    fixed(beside.cpuUs),
    ratio(ratioOf((pass) => pass.perSecond)),
    ratio(1 / ratioOf((pass) => pass.cpuUs)),
  ]
  process.stdout.write(`  ${bed.setting.kind}, fan-out, ${rooms} rooms: ${row.join(' | ')}\n`)
  return row
}

const withDurableSends: Kind = {
  name: 'with durable sends',
  async ours(bed) {
    const { warmUpMs, ms } = bed.setting
    return passOf(bed, bed.server, () => bed.load.call('send', { senders: bed.senders, warmUpMs, ms }))
  },
  async bare(bed, { framesPerWrite }) {
    const { warmUpMs, ms } = bed.setting
    const perWrite = Math.max(1, Math.round(framesPerWrite))
    await bed.bare.call('coalesce', { framesPerWrite: perWrite })
    const senders = bed.senders.map(({ device }) => ({ device, inFlight: 2 * perWrite }))
    return passOf(bed, bed.bare, () => bed.bareLoad.call('echo', { senders, frameBytes: bed.frameBytes, warmUpMs, ms }))
  },
}

const alone: Kind = {
  name: 'alone',
  ours: (bed) => roundsOf(bed, bed.server, bed.load, bed.conversationIds),
  bare: (bed) => roundsOf(bed, bed.bare, bed.bareLoad, []),
}

async function roundsOf(
  bed: Bed,
  sender: Peer<ServerCalls> | Peer<BareSocketCalls>,
  receiver: Peer<LoadCalls>,
  conversationIds: readonly string[],
): Promise<Pass> {
  const { warmUpMs, ms } = bed.setting
  const round = { conversationIds, framesPerWrite: IN_FLIGHT, frameBytes: bed.frameBytes }
  return passOf(bed, sender, async () => {
    await (sender as Peer<Rounds>).call('startRounds', round)
    const counted = await receiver.call('count', { warmUpMs, ms })
    await (sender as Peer<Rounds>).call('stopRounds', undefined)
    return counted
  })
}

/** What both servers do by themselves. */
type Rounds = Pick<ServerCalls, 'startRounds' | 'stopRounds'>

/** Reckons what a server spent over a pass, its warm-up included, to what was delivered in it. */
async function passOf(
  { setting: { warmUpMs, ms } }: Bed,
  peer: Peer<ServerCalls> | Peer<BareSocketCalls>,
  run: () => Promise<{ readonly delivered: number; readonly seconds: number }>,
): Promise<Pass> {
  const figures = () => (peer as Peer<BareSocketCalls>).call('figures', undefined)
  const before = await figures()
  const { delivered, seconds } = await run()
  const after = await figures()
  const all = (delivered / ms) * (ms + warmUpMs)
  return {
    perSecond: delivered / seconds,
    framesPerWrite: all / (after.writes - before.writes),
    cpuUs: (after.mainUs - before.mainUs) / all,
  }
}
