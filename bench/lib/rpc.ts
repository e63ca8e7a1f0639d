/** Calls between the processes of a benchmark: each side of a measurement has a process, and so a heap and a core, of its own. */

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

type Calls = Readonly<Record<string, (input: never) => unknown>>
type InputOf<C extends Calls, Name extends keyof C> = Parameters<C[Name]>[0]
type AnswerOf<C extends Calls, Name extends keyof C> = Awaited<ReturnType<C[Name]>>

interface Request {
  readonly id: number
  readonly name: string
  readonly input: unknown
}

interface Answer {
  readonly id: number
  readonly answer?: unknown
  readonly error?: string
}

/** Answers the calls of the process that started this one, until it goes away. */
export function serveCalls(calls: Calls): void {
  process.on('message', ({ id, name, input }: Request) => {
    void (async () => calls[name]!(input as never))().then(
      (answer) => process.send!({ id, answer } satisfies Answer),
      (error: unknown) =>
        process.send!({
          id,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        } satisfies Answer),
    )
  })
  process.on('disconnect', () => process.exit(0))
}

export interface Peer<C extends Calls> extends AsyncDisposable {
  readonly pid: number
  call<Name extends keyof C & string>(name: Name, input: InputOf<C, Name>): Promise<AnswerOf<C, Name>>
}

/** @param file  beside `bench.ts` @throws Error when the process ends while it is asked */
export function startPeer<C extends Calls>(file: string, env: Readonly<Record<string, string>> = {}): Peer<C> {
  const child: ChildProcess = fork(fileURLToPath(new URL(`../${file}`, import.meta.url)), {
    execArgv: ['--expose-gc', '--max-semi-space-size=16', '--disable-warning=ExperimentalWarning'],
    env: { ...process.env, ...env },
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  let lastId = 0
  child.on('message', ({ id, answer, error }: Answer) => {
    const call = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) call?.resolve(answer)
    else call?.reject(new Error(`${file}: ${error}`))
  })
  child.on('exit', (code, signal) => {
    for (const call of waiting.values()) call.reject(new Error(`${file} ended (${signal ?? code})`))
    waiting.clear()
  })
  return {
    pid: child.pid!,
    call(name, input) {
      const id = ++lastId
      const answer = Promise.withResolvers<unknown>()
      waiting.set(id, answer)
      child.send({ id, name, input } satisfies Request)
      return answer.promise as Promise<never>
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.disconnect()
      await exit
    },
  }
}
