/** What a process has used so far. */

export interface Usage {
  /** CPU time of all its threads, microseconds. */
  readonly cpuUs: number
  /** CPU time of the thread that runs JavaScript: without the embedded database and the helpers of Node. */
  readonly mainUs: number
}

export function readUsage(): Usage {
  const all = process.cpuUsage()
  const main = process.threadCpuUsage()
  return { cpuUs: all.user + all.system, mainUs: main.user + main.system }
}

const SAMPLES = 5
const PAUSE_MS = 150

/** Resident and heap bytes after full collections: the smallest of several samples. */
export async function readMemory(): Promise<{ readonly rssBytes: number; readonly heapBytes: number }> {
  const samples: NodeJS.MemoryUsage[] = []
  for (let count = 0; count < SAMPLES; count++) {
    globalThis.gc!()
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    samples.push(process.memoryUsage())
  }
  return {
    rssBytes: Math.min(...samples.map(({ rss }) => rss)),
    heapBytes: Math.min(...samples.map(({ heapUsed, external }) => heapUsed + external)),
  }
}
