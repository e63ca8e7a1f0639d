/** Small sums of a benchmark. Durations in milliseconds unless the name says otherwise. */

export interface Percentiles {
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

export function percentilesOf(samples: readonly number[]): Percentiles {
  const sorted = Float64Array.from(samples).toSorted()
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The median pass by one of its figures: the others come from the same pass, so they belong together. */
export function medianPass<Pass>(passes: readonly Pass[], figure: (pass: Pass) => number): Pass {
  const sorted = passes.toSorted((a, b) => figure(a) - figure(b))
  return sorted[(sorted.length - 1) >> 1]!
}

/** Ratios of passes that ran side by side, then their median: noise that hits both sides of a pair cancels out. */
export function medianRatio(ours: readonly number[], reference: readonly number[]): number {
  return median(ours.map((value, index) => value / reference[index]!))
}

export function fixed(value: number, digits = 1): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '–'
}

export function whole(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString('en-US') : '–'
}

export function ratio(value: number): string {
  return `**${fixed(value, 2)}**`
}
