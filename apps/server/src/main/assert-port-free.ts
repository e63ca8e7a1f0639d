import { connect } from 'node:net'

/** A machine that neither takes nor refuses within this (a firewall) is left to `listen`, which tells for certain. */
const ANSWER_MS_MAX = 1_000

/**
 * Asks whether somebody listens there already, by knocking: a server that opened the port itself to find out would take
 * connections before it can answer them, and one that listens last would tell only after its database was opened.
 *
 * @param port  0 takes a free one, so there is nothing to ask
 * @throws Error with the code EADDRINUSE, as `listen` does
 */
export async function assertPortFree(host: string, port: number): Promise<void> {
  if (port === 0 || !(await isAnswered(reachable(host), port))) return
  const error = new Error(`listen EADDRINUSE: address already in use ${host}:${port}`)
  throw Object.assign(error, { code: 'EADDRINUSE', syscall: 'listen', address: host, port })
}

/** An address that stands for all of this machine's is one to listen on, not one to go to. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}

function isAnswered(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    // One family, as `listen` takes the first address of a name: who listens on another one is not in the way.
    const socket = connect({ host, port, autoSelectFamily: false, timeout: ANSWER_MS_MAX })
    const answer = (isAnswer: boolean) => {
      socket.destroy()
      resolve(isAnswer)
    }
    socket.once('connect', () => answer(true))
    socket.once('timeout', () => answer(false))
    socket.once('error', () => answer(false))
  })
}
