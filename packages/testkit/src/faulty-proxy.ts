/** A TCP proxy that misbehaves on demand: the network between a client and the server, with its faults. */

import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/**
 * | mode       | what it does                                                                      |
 * | ---------- | --------------------------------------------------------------------------------- |
 * | `open`     | forwards both ways                                                                |
 * | `stalled`  | forwards nothing and reads nothing, so the senders' buffers fill; new ones connect |
 * | `halfOpen` | swallows what is sent, in both directions, and hides every end: no FIN, no RST     |
 * | `closed`   | refuses new connections; `cut` ends those that are there                          |
 */
export type ProxyMode = 'open' | 'stalled' | 'halfOpen' | 'closed'

export interface FaultyProxy extends AsyncDisposable {
  /** As the server's, with the proxy's port. */
  readonly url: string
  readonly connections: number
  /** For connections that are there and those that come. */
  setMode(mode: ProxyMode): void
  /** Half-open and stalled connections do not come back to life: what was swallowed is lost. New ones are open again. */
  leaveBehind(): void
  /** Delay of every piece, in each direction. */
  setDelayMs(delayMs: number): void
  /** Ends all connections at once, with RST. */
  cut(): void
  /** How many bytes per second reach clients; undefined: as many as there are. */
  setDownstreamRate(bytesPerSecond: number | undefined): void
}

interface Pipe {
  readonly client: Socket
  readonly server: Socket
  mode: ProxyMode
}

/** @param serverUrl  of a server behind TCP, or of PostgreSQL behind a Unix socket (`?host=folder`) */
export async function startFaultyProxy(serverUrl: string): Promise<FaultyProxy> {
  const { hostname, port: targetPort, searchParams } = new URL(serverUrl)
  const folder = searchParams.get('host')
  const target =
    folder === null ? { host: hostname, port: Number(targetPort) } : { path: `${folder}/.s.PGSQL.${targetPort}` }
  const pipes = new Set<Pipe>()
  let mode: ProxyMode = 'open'
  let delayMs = 0
  let rate: number | undefined

  const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    if (mode === 'closed') return void client.resetAndDestroy()
    const server = connect({ ...target, allowHalfOpen: true })
    const pipe: Pipe = { client, server, mode }
    pipes.add(pipe)
    forward(pipe, client, server, () => undefined)
    forward(pipe, server, client, () => rate)
    client.resume()
    applyMode(pipe)
  })

  function forward(pipe: Pipe, from: Socket, to: Socket, rateOf: () => number | undefined): void {
    let last = Promise.resolve()
    from.on('data', (bytes: Buffer) => {
      if (pipe.mode === 'halfOpen') return
      const bytesPerSecond = rateOf()
      const waitMs = delayMs + (bytesPerSecond === undefined ? 0 : (bytes.length / bytesPerSecond) * 1_000)
      if (bytesPerSecond !== undefined) from.pause()
      last = last
        .then(() => (waitMs === 0 ? undefined : new Promise<void>((resolve) => setTimeout(resolve, waitMs))))
        .then(() => {
          if (pipe.mode === 'halfOpen' || to.destroyed) return
          const hasRoom = to.write(bytes)
          if (!hasRoom) from.pause()
          if (pipe.mode === 'open' && hasRoom) from.resume()
        })
    })
    to.on('drain', () => void (pipe.mode === 'open' && from.resume()))
    from.on('end', () => void last.then(() => pipe.mode !== 'halfOpen' && pipe.mode !== 'stalled' && to.end()))
    from.on('error', () => from.destroy())
    from.on('close', (hadError) => {
      if (pipe.mode === 'halfOpen' || pipe.mode === 'stalled') return
      if (hadError) reset(to)
      pipes.delete(pipe)
    })
  }

  function applyMode(pipe: Pipe): void {
    for (const socket of [pipe.client, pipe.server]) {
      if (pipe.mode === 'stalled') socket.pause()
      else socket.resume()
    }
  }

  function each(next: ProxyMode): void {
    for (const pipe of pipes) {
      pipe.mode = next
      applyMode(pipe)
    }
  }

  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as AddressInfo
  const abandoned: Pipe[] = []
  return {
    url: `http://127.0.0.1:${port}`,
    get connections() {
      return pipes.size
    },
    setMode(next) {
      mode = next
      if (next !== 'closed') each(next)
    },
    leaveBehind() {
      abandoned.push(...pipes)
      pipes.clear()
      mode = 'open'
    },
    setDelayMs: (ms) => void (delayMs = ms),
    setDownstreamRate: (bytesPerSecond) => void (rate = bytesPerSecond),
    cut() {
      for (const { client, server } of pipes) {
        reset(client)
        reset(server)
      }
      pipes.clear()
    },
    async [Symbol.asyncDispose]() {
      for (const { client, server } of [...pipes, ...abandoned]) {
        client.destroy()
        server.destroy()
      }
      await new Promise((resolve) => listener.close(resolve))
    },
  }
}

/** A Unix socket knows no RST. */
function reset(socket: Socket): void {
  if (socket.remoteAddress === undefined) socket.destroy()
  else socket.resetAndDestroy()
}
