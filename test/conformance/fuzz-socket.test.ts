/** @feature J1 @control OWASP API3, API8; ASVS 4.4.1 */
import {
  frameSchemas,
  renderAsyncApi,
  socketCommands,
  type Command,
  type CommandOp,
  type ProblemDocument,
} from '@sotto/protocol'
import { databaseKinds, openTestSocket, type TestSocket } from '@sotto/testkit'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { breaking, fitting, garbling, sometimes, strangers, type Pools } from './kit/arbitraries.ts'
import { digestTables } from './kit/digest.ts'
import { allowedCodes, createSocketValidators, createValidators } from './kit/documents.ts'
import { openFuzzScene, type CallerName, type FuzzScene } from './kit/fuzz-scene.ts'
import { draw, eachOf, expectBounded, measureHeap, readSeed, share, watchProcess } from './kit/fuzzing.ts'

const FRAMES = { postgres: 4_500, pglite: 500 } as const
const BATCH = 500
const seed = readSeed()
const all = Object.values(socketCommands) as readonly Command[]
const { checkReply, checkFrame } = createSocketValidators(renderAsyncApi({ version: '0' }))
const { checkProblem } = createValidators()
const callers: readonly CallerName[] = ['ada', 'cora', 'alice', 'bob', 'robot', 'mallory', 'foreigner']
/** What may be said before anyone knows which command is meant. */
const beforeCommands = [
  'platform/malformed',
  'platform/invalid-input',
  'socket/unknown-command',
  'platform/unavailable',
]

interface Shot {
  readonly op: string
  readonly caller: CallerName
  readonly text: string | Buffer
  /** undefined: no frame of this text can carry one. */
  readonly id: number | undefined
}

describe.each(databaseKinds)('on %s', (kind) => {
  let scene: FuzzScene
  const sockets = new Map<CallerName, TestSocket>()

  beforeAll(async () => {
    scene = await openFuzzScene(kind)
  })
  afterAll(() => scene?.[Symbol.asyncDispose]())

  test('whatever frame comes is answered once, as documented, and the server stays as it is', async ({ task }) => {
    using watch = watchProcess()
    const total = share(FRAMES[kind])
    const codes: Record<string, number> = {}
    let before = 0
    for (let batch = 0; batch * BATCH < total; batch++) {
      await openAll()
      const drawn = draw(shots(scene.pools), seed + batch, Math.min(BATCH, total)).map((shot, index) =>
        numbered(shot, index),
      )
      await eachOf(callers, callers.length, async (caller) => {
        for (const shot of drawn) if (shot.caller === caller) await shoot(shot, codes, batch)
      })
      if (batch === 0) before = await measureHeap()
      expect(watch.seen, `seed ${seed} batch ${batch}`).toEqual([])
      closeAll()
    }
    expectBounded(before, await measureHeap())
    for (const code of [
      'reply',
      'platform/invalid-input',
      'platform/malformed',
      'access/not-found',
      'socket/unknown-command',
    ])
      expect(Object.keys(codes)).toContain(code)
    await openAll()
    await sockets.get('ada')!.command('ping', {})
    task.meta.seed = seed
    task.meta.counts = { [`socket frames on ${kind}`]: total }
  })

  test('what is refused changes nothing', async ({ task }) => {
    const count = share(kind === 'pglite' ? 50 : 300)
    await openAll()
    const before = await digestTables(scene.owner)
    const drawn = draw(refusedShots(scene.pools), seed, count).map((shot, index) => numbered(shot, index))
    for (const shot of drawn) {
      const frame = await send(shot)
      if (frame === 'closed' || frame.op !== 'error') throw new Error(`seed ${seed}: not refused: ${String(shot.text)}`)
    }
    expect(await digestTables(scene.owner)).toEqual(before)
    task.meta.counts = { [`refused frames on ${kind}`]: count }
  })

  test('one who goes on sending what is no command is disconnected, and comes back', async () => {
    await openAll()
    const socket = sockets.get('alice')!
    for (let times = 0; times < 12; times++) socket.webSocket.send('{')
    expect(await socket.closed).toBe(4400)
    await openAll()
    sockets.get('bob')!.webSocket.send('x'.repeat(scene.server.composition.limits.frameBytesMax + 1))
    expect(await sockets.get('bob')!.closed).toBe(1009)
    await openAll()
    await sockets.get('alice')!.command('ping', {})
  })

  async function openAll(): Promise<void> {
    await scene.refresh()
    for (const caller of callers) sockets.get(caller)?.close()
    for (const caller of callers) sockets.set(caller, await openTestSocket(scene.server.url, scene.tokenOf(caller)!))
  }

  function closeAll(): void {
    for (const socket of sockets.values()) {
      for (const frame of socket.frames)
        if (frame.op !== 'reply') expect([frame.op, checkFrame(frame)]).toEqual([frame.op, undefined])
      socket.close()
    }
  }

  async function shoot(shot: Shot, codes: Record<string, number>, batch: number): Promise<void> {
    const frame = await send(shot)
    if (frame === 'closed') {
      const code = `closed ${await sockets.get(shot.caller)!.closed}`
      codes[code] = (codes[code] ?? 0) + 1
      if (code !== 'closed 4400')
        throw new Error(`seed ${seed} batch ${batch}: ${code} after ${String(shot.text).slice(0, 2_000)}`)
      sockets.set(shot.caller, await openTestSocket(scene.server.url, scene.tokenOf(shot.caller)!))
      return
    }
    const wrong = judge(shot, frame)
    const code = frame.op === 'error' ? frame.problem.code : 'reply'
    codes[code] = (codes[code] ?? 0) + 1
    if (wrong !== undefined)
      throw new Error(
        `seed ${seed} batch ${batch}: ${wrong}\n${shot.caller}: ${String(shot.text).slice(0, 3_000)}\n${JSON.stringify(frame).slice(0, 2_000)}`,
      )
  }

  /** One at a time on each socket, so that the next reply or error is the answer. */
  async function send({ caller, text }: Shot): Promise<Answer | 'closed'> {
    const socket = sockets.get(caller)!
    const seen = socket.frames.length
    const answer = new Promise<Answer>((resolve) => {
      const look = () => {
        const found = socket.frames.slice(seen).find(({ op }) => op === 'reply' || op === 'error')
        if (found === undefined) return
        socket.webSocket.off('message', look)
        resolve(found as Answer)
      }
      socket.webSocket.on('message', look)
    })
    socket.webSocket.send(text)
    return Promise.race([answer, socket.closed.then(() => 'closed' as const)])
  }
})

type Answer =
  | { readonly op: 'reply'; readonly id: number; readonly result: unknown }
  | { readonly op: 'error'; readonly id: number | null; readonly problem: ProblemDocument }

/** Each frame has an id of its own, where it has one at all. */
function numbered({ text, id, ...shot }: Shot, index: number): Shot {
  if (id === undefined || Buffer.isBuffer(text)) return { ...shot, text, id }
  return { ...shot, text: text.replace('"@id"', String(index + 1)), id: text.includes('"@id"') ? index + 1 : undefined }
}

function shots(pools: Pools): fc.Arbitrary<Shot> {
  return fc.constantFrom(...all).chain((command) =>
    fc
      .record({
        caller: fc.constantFrom(...callers, 'alice' as const, 'bob' as const),
        body: fitting(command.body, pools),
        op: fc.oneof(
          { arbitrary: fc.constant<unknown>(command.op), weight: 12 },
          { arbitrary: fc.constantFrom<unknown>('toString', '__proto__', '', ...strangers), weight: 1 },
        ),
        id: fc.oneof(
          { arbitrary: fc.constant<unknown>('@id'), weight: 12 },
          { arbitrary: fc.constantFrom(...strangers), weight: 1 },
        ),
        broken: sometimes(40, breaking),
        garbled: sometimes(6, garbling),
        isBinary: sometimes(3, fc.constant(true)),
      })
      .map(({ caller, body, op, id, broken, garbled, isBinary }) => {
        const me = { ...(body as object), op, id }
        const text = JSON.stringify(broken === null ? me : broken(me))
        const whole = garbled === null ? text : garbled(text)
        // What is not UTF-8 may not be sent as text: the client's library would not, and a peer that does is cut off.
        const isText = isBinary === null && !(Buffer.isBuffer(whole) && !isUtf8(whole))
        const fits = garbled === null && isText
        return { op: command.op, caller, text: isText ? String(whole) : Buffer.from(whole), id: fits ? 0 : undefined }
      }),
  )
}

function isUtf8(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString('utf8')).equals(bytes)
}

/** Frames of which none may be done. */
function refusedShots(pools: Pools): fc.Arbitrary<Shot> {
  return fc.constantFrom(...all).chain((command) =>
    fc
      .record({
        body: fitting(command.body, pools),
        how: fc.nat({ max: 2 }),
        stranger: fc.constantFrom(...strangers),
        caller: fc.constantFrom<CallerName>('alice', 'bob', 'ada'),
      })
      .map(({ body, how, stranger, caller }) => {
        const whole = { ...(body as object), op: command.op, id: '@id' }
        const refused = [
          { ...whole, unknown: stranger },
          { ...whole, op: `${command.op}.twice` },
          { ...whole, id: -1 },
        ][how]
        return { op: command.op, caller, text: JSON.stringify(refused), id: 0 }
      }),
  )
}

/** @returns what is wrong with the answer */
function judge({ op, id }: Shot, frame: Answer): string | undefined {
  if (frame.op === 'reply') {
    if (id !== undefined && frame.id !== id) return `the reply has the id ${frame.id}`
    return checkReply(op as CommandOp, frame.result)
  }
  if (!frameSchemas.error.safeParse(frame).success) return 'a broken error'
  const wrong = checkProblem(frame.problem)
  if (wrong !== undefined) return `a broken problem: ${wrong}`
  const { code, status } = frame.problem
  if (status >= 500) return `${op} fails: ${code}`
  if (frame.id !== null && id !== undefined && frame.id !== id) return `the error has the id ${frame.id}`
  return beforeCommands.includes(code) || allowedCodes(op).has(code)
    ? undefined
    : `${code} is no answer of ${op} by the contract`
}
