/** Closed loops within a server: the next round begins when the sockets have taken the last one. */

import { setImmediate as nextTurn } from 'node:timers/promises'

let ending = new AbortController()
let ended: Promise<void> = Promise.resolve()

export function startRounds(round: () => void, isTaken: () => boolean): void {
  ending = new AbortController()
  ended = keepGoing(round, isTaken, ending.signal)
}

async function keepGoing(round: () => void, isTaken: () => boolean, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    round()
    // What is queued in one turn of the event loop is written at its end.
    do await nextTurn()
    while (!signal.aborted && !isTaken())
  }
}

export function stopRounds(): Promise<void> {
  ending.abort()
  return ended
}
