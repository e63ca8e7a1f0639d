/** Closed loops within a server: the next round begins when the sockets have taken the last one. */

import { setImmediate as nextTurn } from 'node:timers/promises'

let isGoingOn = false
let ended: Promise<void> = Promise.resolve()

export function startRounds(round: () => void, isTaken: () => boolean): void {
  isGoingOn = true
  ended = keepGoing(round, isTaken)
}

async function keepGoing(round: () => void, isTaken: () => boolean): Promise<void> {
  while (isGoingOn) {
    round()
    // What is queued in one turn of the event loop is written at its end.
    do await nextTurn()
    while (isGoingOn && !isTaken())
  }
}

export function stopRounds(): Promise<void> {
  isGoingOn = false
  return ended
}
