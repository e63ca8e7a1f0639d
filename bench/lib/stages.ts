/** From a CPU profile to stages of a message's life: what each costs, per message. */

import type { Profiler } from 'node:inspector'

/**
 * Where a sample belongs: the frame nearest to the top of the stack that one of these rules knows. What Node's own code
 * does (encrypting, writing to a socket) is so counted for whoever asked for it. The first rule that fits a frame counts.
 */
const rules: readonly { readonly stage: string; readonly path: RegExp; readonly name?: RegExp }[] = [
  { stage: 'garbage collection', path: /^$/, name: /^\(garbage collector\)$/ },
  { stage: 'idle', path: /^$/, name: /^\(idle\)$/ },
  { stage: 'profiler', path: /^node:inspector/ },
  { stage: 'parse', path: /edges\/gate\/parse-|node_modules\/zod|packages\/protocol/ },
  { stage: 'socket read', path: /node_modules\/ws\/lib\/(receiver|buffer-util|validation)|edges\/realtime\/heartbeat/ },
  { stage: 'socket write', path: /edges\/realtime\/outgoing|node_modules\/ws\/lib\/sender/ },
  { stage: 'fan-out', path: /edges\/realtime\/(fan-out|delivering|audiences|registry)|platform\/bus/ },
  { stage: 'fan-out', path: /conversations\/render-entry/, name: /^(renderEntry|toEntry|openBody)$/ },
  { stage: 'seal', path: /conversations\/render-entry|messages\/send-message/ },
  { stage: 'audit', path: /domains\/audit|packages\/transparency/ },
  { stage: 'authorise', path: /domains\/(access|identity)|edges\/gate\/gate/ },
  { stage: 'keys', path: /domains\/keys/ },
  {
    stage: 'SQL driver',
    path: /node_modules\/(pg|pg-[a-z]+|postgres-[a-z]+)\/|platform\/db|log-store|conversation-store|port-stream/,
  },
  { stage: 'append', path: /domains\/conversations\/append|conversation\.model/ },
  { stage: 'socket edge', path: /edges\/realtime|node_modules\/ws\// },
]
const OTHER = 'event loop, promises, other'

export const stageNames: readonly string[] = [...new Set(rules.map(({ stage }) => stage)), OTHER]

export interface Spent {
  /** Microseconds of each stage. */
  readonly stages: ReadonlyMap<string, number>
  /** Microseconds of each function itself, most expensive first. */
  readonly functions: readonly { readonly name: string; readonly place: string; readonly us: number }[]
}

export function spendOf(profile: Profiler.Profile): Spent {
  const parents = new Map<number, number>()
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  for (const node of profile.nodes) for (const child of node.children ?? []) parents.set(child, node.id)
  const stageOf = new Map<number, string>()
  const stages = new Map<string, number>()
  const functions = new Map<string, { name: string; place: string; us: number }>()

  function findStage(id: number): string {
    const known = stageOf.get(id)
    if (known !== undefined) return known
    const { callFrame } = nodes.get(id)!
    const path = callFrame.url
    const rule = rules.find((one) => one.path.test(path) && (one.name?.test(callFrame.functionName) ?? true))
    const parent = parents.get(id)
    const stage = rule?.stage ?? (parent === undefined ? OTHER : findStage(parent))
    stageOf.set(id, stage)
    return stage
  }

  profile.samples!.forEach((id, index) => {
    const us = profile.timeDeltas![index]!
    const stage = findStage(id)
    stages.set(stage, (stages.get(stage) ?? 0) + us)
    const { functionName, url, lineNumber } = nodes.get(id)!.callFrame
    const place = url === '' ? '' : `${url.replace(/^.*\/(apps|packages|node_modules)\//, '$1/')}:${lineNumber + 1}`
    const key = `${functionName} ${place}`
    const known = functions.get(key)
    if (known) known.us += us
    else functions.set(key, { name: functionName || '(anonymous)', place, us })
  })
  return { stages, functions: [...functions.values()].toSorted((a, b) => b.us - a.us) }
}
