/** A load of people who write to each other, keep what was acknowledged, and try again with the same ids when the server dies. */

import type { Conversation, ConversationId, DeviceId, Entry, EntryId, SignedIn } from '@sotto/protocol'
import { CommandRefused, openTestSocket, type DemoSignIns, type TestSocket } from '@sotto/testkit'

export interface Acknowledged {
  readonly conversationId: ConversationId
  readonly entryId: EntryId
  readonly seq: number
  readonly text: string
}

export class HttpRefused extends Error {
  override readonly name = 'HttpRefused'
  readonly status: number
  readonly code: string | undefined
  constructor(status: number, code: string | undefined) {
    super(`${status} ${code ?? ''}`)
    this.status = status
    this.code = code
  }
}

export async function call<T>(
  url: string,
  method: string,
  path: string,
  accessToken?: string,
  body?: unknown,
): Promise<T> {
  const headers: Record<string, string> = accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }
  if (body !== undefined) headers['content-type'] = 'application/json'
  const answer = await fetch(url + path, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(20_000),
  })
  const text = await answer.text()
  if (!answer.ok) throw new HttpRefused(answer.status, (JSON.parse(text || '{}') as { code?: string }).code)
  return (text === '' ? undefined : JSON.parse(text)) as T
}

interface KnownDevice {
  readonly deviceId: DeviceId
  readonly deviceSecret: string
}

/** @param known  where this person has signed in before; a new device when not given */
async function signInAt(
  url: string,
  demo: DemoSignIns,
  login: string,
  known?: KnownDevice,
): Promise<{ readonly accessToken: string; readonly device: KnownDevice }> {
  const { accessToken, deviceSecret, session } = await call<SignedIn>(url, 'POST', '/v1/sessions', undefined, {
    tenant: demo.tenant,
    login,
    password: demo.password,
    device: { name: 'A test device', ...known },
  })
  return { accessToken, device: known ?? { deviceId: session.deviceId, deviceSecret: deviceSecret! } }
}

export async function signIn(url: string, demo: DemoSignIns, login: string): Promise<string> {
  return (await signInAt(url, demo, login)).accessToken
}

export async function listConversations(url: string, accessToken: string): Promise<readonly Conversation[]> {
  return (await call<{ items: Conversation[] }>(url, 'GET', '/v1/conversations', accessToken)).items
}

/** The whole log, page by page. */
export async function readLog(
  url: string,
  accessToken: string,
  conversationId: ConversationId,
): Promise<readonly Entry[]> {
  const entries: Entry[] = []
  for (;;) {
    const afterSeq = entries.at(-1)?.seq ?? 0
    const page = await call<{ items: Entry[] }>(
      url,
      'GET',
      `/v1/conversations/${conversationId}/entries?afterSeq=${afterSeq}&limit=200`,
      accessToken,
    )
    entries.push(...page.items)
    if (page.items.length < 200) return entries
  }
}

/** A UUIDv7 for tests: the clock of this process, random for the rest. */
export function newEntryId(): EntryId {
  const time = Date.now().toString(16).padStart(12, '0')
  const random = crypto.randomUUID()
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(15, 18)}-${random.slice(19)}` as EntryId
}

/** A cursor that was moved to the sender's own message: nobody else moves it there, and nobody twice. */
export interface Move {
  readonly conversationId: ConversationId
  readonly readSeq: number
}

/** What a sender did beside sending. */
export interface OtherActs {
  readonly movesTried: readonly Move[]
  readonly movesAcknowledged: readonly Move[]
  /** How often it was answered. */
  readonly lists: number
  readonly syncs: number
  /** Where each log ended when the sender began. */
  readonly from: ReadonlyMap<ConversationId, number>
}

export interface Sender {
  readonly login: string
  readonly acknowledged: readonly Acknowledged[]
  readonly others: OtherActs
  /** Everything it ever tried to send, acknowledged or not. */
  readonly tried: ReadonlyMap<EntryId, string>
  /** Refusals by their code; what had no answer at all is under `none`. Each is followed by another attempt. */
  readonly refused: ReadonlyMap<string, number>
  /** No new messages; resolves when all that was tried is acknowledged. */
  finish(): Promise<void>
}

/** Where the server is now: it changes when it is started again. */
export interface Target {
  url: string
}

interface Item {
  readonly conversationId: ConversationId
  readonly entryId: EntryId
  readonly text: string
}

/** How long what is pending may take at the end, when nothing stands in its way any more. */
const FINISH_MS = 120_000
/** A sender reads up to every so many-th of its own messages. */
const MOVE_EVERY = 5

/** Starts one person who sends as fast as answers come, `inFlight` at a time. */
export function startSender(target: Target, demo: DemoSignIns, login: string, inFlight: number): Sender {
  const acknowledged: Acknowledged[] = []
  const tried = new Map<EntryId, string>()
  /** Sent, or to be sent, and not acknowledged: each session begins with these, under the same ids. */
  const pending = new Map<EntryId, Item>()
  const refused = new Map<string, number>()
  const others = {
    movesTried: [] as Move[],
    movesAcknowledged: [] as Move[],
    lists: 0,
    syncs: 0,
    from: new Map<ConversationId, number>(),
  }
  const wish = { isFinishing: false, deadline: Number.POSITIVE_INFINITY }
  /** Sessions outlive the process: signing in again is for when this one does not. */
  let accessToken: string | undefined
  /** What is sent again is known by the device that has sent it. */
  let device: KnownDevice | undefined

  function forgetToken(error: unknown): never {
    if (error instanceof HttpRefused && error.status === 401) accessToken = undefined
    throw error
  }

  function noteRefusal(error: unknown): void {
    const code = error instanceof CommandRefused ? error.message : error instanceof HttpRefused ? error.code : undefined
    refused.set(code ?? 'none', (refused.get(code ?? 'none') ?? 0) + 1)
  }

  async function session(): Promise<void> {
    if (accessToken === undefined) ({ accessToken, device } = await signInAt(target.url, demo, login, device))
    const conversations = await listConversations(target.url, accessToken).catch(forgetToken)
    others.lists++
    for (const { conversationId, lastSeq } of conversations)
      if (!others.from.has(conversationId)) others.from.set(conversationId, lastSeq)
    const socket = await openTestSocket(target.url, accessToken)
    const queue = [...pending.values()]
    const work = Promise.all(Array.from({ length: inFlight }, () => sendOn(socket, queue, conversations)))
    try {
      await Promise.all([work, socket.command('conversation.sync', {}).then(() => others.syncs++)])
    } finally {
      socket.webSocket.terminate()
      await work.catch(() => undefined)
    }
  }

  async function sendOn(socket: TestSocket, queue: Item[], conversations: readonly Conversation[]): Promise<void> {
    for (
      let item = queue.shift() ?? compose(conversations);
      item !== undefined;
      item = queue.shift() ?? compose(conversations)
    ) {
      const { conversationId, entryId, text } = item
      const { seq } = await socket.command('message.send', {
        conversationId,
        entryId,
        payload: { v: 1, type: 'text', text },
      })
      if (!pending.delete(entryId)) continue
      acknowledged.push({ ...item, seq })
      if (acknowledged.length % MOVE_EVERY === 0) await move(socket, { conversationId, readSeq: seq })
    }
  }

  async function move(socket: TestSocket, to: Move): Promise<void> {
    others.movesTried.push(to)
    await socket.command('cursor.move', { ...to })
    others.movesAcknowledged.push(to)
  }

  function compose(conversations: readonly Conversation[]): Item | undefined {
    if (wish.isFinishing) return undefined
    const { conversationId } = conversations[tried.size % conversations.length]!
    const item = { conversationId, entryId: newEntryId(), text: `${login} says number ${tried.size + 1}` }
    tried.set(item.entryId, item.text)
    pending.set(item.entryId, item)
    return item
  }

  const done = (async () => {
    while (!wish.isFinishing || pending.size > 0) {
      if (Date.now() > wish.deadline) throw new Error(`${login} was never answered: ${[...refused.keys()].join(', ')}`)
      await session().catch((error: unknown) => {
        noteRefusal(error)
        return new Promise((resolve) => setTimeout(resolve, 100))
      })
    }
  })()

  return {
    login,
    acknowledged,
    others,
    tried,
    refused,
    finish() {
      wish.isFinishing = true
      wish.deadline = Date.now() + FINISH_MS
      return done
    },
  }
}

/** Resolves when so many more messages are acknowledged. */
export async function progress(senders: readonly Sender[], more: number): Promise<void> {
  const count = () => senders.reduce((sum, sender) => sum + sender.acknowledged.length, 0)
  const goal = count() + more
  for (const deadline = Date.now() + 120_000; count() < goal;) {
    if (Date.now() > deadline) throw new Error(`No progress: ${count()} of ${goal} acknowledged`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** How often so far the senders were told to come back later. */
export function countRefusals(senders: readonly Sender[], code: string): number {
  return senders.reduce((sum, sender) => sum + (sender.refused.get(code) ?? 0), 0)
}
