/** Open loops: what is offered does not wait for what came back. */

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/**
 * Offers `perSecond` things a second until it is over. The instant at which one was due counts as its beginning: a stall is
 * not hidden by offering less (coordinated omission).
 *
 * @param offer  told the number of the thing, from 0, and when it was due
 */
export async function pace(
  perSecond: number,
  isOver: () => boolean,
  offer: (count: number, dueAt: number) => void,
): Promise<void> {
  const begin = performance.now()
  for (let count = 0; !isOver(); await sleep(1)) {
    const due = ((performance.now() - begin) / 1000) * perSecond
    for (; count < due; count++) offer(count, begin + (count / perSecond) * 1000)
  }
}
