/** The load generator, in a process of its own: it holds the sockets of all devices and measures what arrives at them. */

import { randomBytes } from 'node:crypto'
import { SOCKET_PATH, SOCKET_PROTOCOL, SOCKET_TICKET_PREFIX } from '@sotto/protocol'
import { BODY_TEXT, inParallel } from './lib/clinic.ts'
import { openLightSocket, type LightSocket } from './lib/light-socket.ts'
import { percentilesOf } from './lib/numbers.ts'
import { pace, sleep } from './lib/pace.ts'
import { readUsage } from './lib/process-figures.ts'
import { serveCalls } from './lib/rpc.ts'

interface Device {
  readonly socket: LightSocket
  /** By command id: what to do when its answer comes. */
  readonly waiting: Map<number, (isReply: boolean, frame: Buffer) => void>
  lastId: number
}

/** One who sends: keeps `inFlight` messages on the way to one conversation. */
export interface SenderPlan {
  readonly device: number
  readonly conversationId: string
  readonly inFlight: number
}

const devices: Device[] = []
let delivered = 0
let deliveredBytes = 0
let onEntry: ((frame: Buffer) => void) | undefined

const REPLY = Buffer.from('{"op":"reply","id":')
const ERROR = Buffer.from('{"op":"error","id":')
const ENTRY = Buffer.from('{"op":"entry"')

function receive(device: Device, frame: Buffer): void {
  if (frame.subarray(0, ENTRY.length).equals(ENTRY)) {
    delivered++
    deliveredBytes += frame.length
    onEntry?.(frame)
    return
  }
  const isReply = frame.subarray(0, REPLY.length).equals(REPLY)
  if (!isReply && !frame.subarray(0, ERROR.length).equals(ERROR)) return
  const id = Number.parseInt(frame.toString('latin1', REPLY.length, REPLY.length + 16), 10)
  device.waiting.get(id)?.(isReply, frame)
  device.waiting.delete(id)
}

async function connectDevice(url: string, ticket: string, isLive: boolean): Promise<Device> {
  const protocols = [SOCKET_PROTOCOL, SOCKET_TICKET_PREFIX + ticket]
  const socket = await openLightSocket(url.replace('http', 'ws') + SOCKET_PATH, protocols)
  const device: Device = { socket, waiting: new Map(), lastId: 0 }
  socket.onFrame = (frame) => receive(device, frame)
  socket.onClose = (code) => process.stderr.write(`a socket was closed by the server (${code})\n`)
  if (isLive) await command(device, '"conversation.sync"', '')
  return device
}

function command(device: Device, op: string, rest: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const id = ++device.lastId
    device.waiting.set(id, (isReply, frame) =>
      isReply ? resolve(frame) : reject(new Error(frame.toString('utf8').slice(0, 500))),
    )
    device.socket.send(`{"op":${op},"id":${id}${rest}}`)
  })
}

const run = randomBytes(2).toString('hex')
let entries = 0

/** A UUIDv7 (RFC 9562 §5.7), unique in this run. */
function nextEntryId(): string {
  const ms = Date.now().toString(16).padStart(12, '0')
  const count = (entries++).toString(16).padStart(12, '0')
  return `${ms.slice(0, 8)}-${ms.slice(8)}-7${run.slice(0, 3)}-8000-${count}`
}

const payload = `,"payload":{"v":1,"type":"text","text":${JSON.stringify(BODY_TEXT)}}`

function sendMessage(plan: SenderPlan, entryId: string): Promise<Buffer> {
  const device = devices[plan.device]!
  return command(
    device,
    '"message.send"',
    `,"conversationId":"${plan.conversationId}","entryId":"${entryId}"${payload}`,
  )
}

/** Counts only what happens between the warm-up and the end. */
interface Window {
  isOpen: boolean
  isOver: boolean
}

async function measure(input: { readonly warmUpMs: number; readonly ms: number }, window: Window) {
  await sleep(input.warmUpMs)
  const deliveredBefore = delivered
  const bytesBefore = deliveredBytes
  const usageBefore = readUsage()
  const before = performance.now()
  window.isOpen = true
  await sleep(input.ms)
  window.isOpen = false
  const seconds = (performance.now() - before) / 1000
  window.isOver = true
  const count = delivered - deliveredBefore
  const frameBytes = Math.round((deliveredBytes - bytesBefore) / Math.max(1, count))
  return { seconds, delivered: count, frameBytes, cpuUs: readUsage().cpuUs - usageBefore.cpuUs }
}

const calls = {
  async connect(input: { readonly url: string; readonly tickets: readonly string[]; readonly isLive: boolean }) {
    const opened = await inParallel(input.tickets.length, (index) =>
      connectDevice(input.url, input.tickets[index]!, input.isLive),
    )
    devices.push(...opened)
    return devices.length
  },
  /** Sockets without a protocol of ours, to the bare server: they are told apart by their path only. */
  async connectBare(input: { readonly url: string; readonly count: number; readonly room: number }) {
    for (let index = 0; index < input.count; index++) {
      const socket = await openLightSocket(`${input.url}/${input.room}`, [])
      socket.onFrame = () => delivered++
      devices.push({ socket, waiting: new Map(), lastId: 0 })
    }
    return devices.length
  },
  disconnect() {
    for (const { socket } of devices.splice(0)) {
      socket.onClose = () => {}
      socket.close()
    }
  },
  /** Closed loop: each sender sends the next message when one is acknowledged. */
  async send(input: { readonly senders: readonly SenderPlan[]; readonly warmUpMs: number; readonly ms: number }) {
    const window: Window = { isOpen: false, isOver: false }
    const samples: number[] = []
    const runner = async (plan: SenderPlan) => {
      while (!window.isOver) {
        const before = performance.now()
        await sendMessage(plan, nextEntryId())
        if (window.isOpen) samples.push(performance.now() - before)
      }
    }
    const runners = input.senders.flatMap((plan) => Array.from({ length: plan.inFlight }, () => runner(plan)))
    const measured = await measure(input, window)
    await Promise.all(runners)
    return { ...measured, acknowledged: samples.length, ...percentilesOf(samples) }
  },
  /** Open loop: sends at a rate whatever comes back, and times each message to its arrival at a member's device. */
  async sendAtRate(input: {
    readonly senders: readonly SenderPlan[]
    readonly perSecond: number
    readonly warmUpMs: number
    readonly ms: number
  }) {
    const window: Window = { isOpen: false, isOver: false }
    const samples: number[] = []
    /** Two frames of each entry come, the sender's own first or last: the later one counts, so no run flatters. */
    const underWay = new Map<string, { readonly at: number; seen: number }>()
    onEntry = (frame) => {
      const at = frame.indexOf('"entryId":"') + 11
      const entryId = frame.toString('latin1', at, at + 36)
      const sent = underWay.get(entryId)
      if (sent === undefined || ++sent.seen < 2) return
      underWay.delete(entryId)
      if (window.isOpen) samples.push(performance.now() - sent.at)
    }
    const isOver = () => window.isOver
    const sending = pace(input.perSecond, isOver, (count, dueAt) => {
      const plan = input.senders[count % input.senders.length]!
      const entryId = nextEntryId()
      underWay.set(entryId, { at: dueAt, seen: 0 })
      void sendMessage(plan, entryId).catch(() => underWay.delete(entryId))
    })
    const measured = await measure(input, window)
    await sending
    await sleep(300)
    onEntry = undefined
    return { ...measured, arrived: samples.length, lost: underWay.size, ...percentilesOf(samples) }
  },
  /** The bare server's fan-out: `frames` stay on the way in each room; a sender sends on when its own come back. */
  async echo(input: {
    readonly senders: readonly { readonly device: number; readonly inFlight: number }[]
    readonly frameBytes: number
    readonly warmUpMs: number
    readonly ms: number
  }) {
    const window: Window = { isOpen: false, isOver: false }
    const frame = 'x'.repeat(input.frameBytes)
    for (const { device, inFlight } of input.senders) {
      const { socket } = devices[device]!
      socket.onFrame = () => {
        delivered++
        if (!window.isOver) socket.send(frame)
      }
      for (let count = 0; count < inFlight; count++) socket.send(frame)
    }
    const measured = await measure(input, window)
    await sleep(300)
    for (const { device } of input.senders) devices[device]!.socket.onFrame = () => delivered++
    return measured
  },
  /** What arrives while nothing is sent from here. */
  count: (input: { readonly warmUpMs: number; readonly ms: number }) =>
    measure(input, { isOpen: false, isOver: false }),
  async get(input: { readonly url: string; readonly accessToken: string; readonly times: number }) {
    const samples: number[] = []
    const headers = { authorization: `Bearer ${input.accessToken}` }
    for (let count = 0; count < input.times; count++) {
      const before = performance.now()
      const answer = await fetch(input.url, { headers })
      const text = await answer.text()
      samples.push(performance.now() - before)
      if (!answer.ok) throw new Error(text)
    }
    return percentilesOf(samples)
  },
}

export type LoadCalls = typeof calls

serveCalls(calls)
