/** What every workload gets: how long it may take, and on what it runs. */

import type { DatabaseKind } from '../lib/ground.ts'

export interface Setting {
  readonly kind: DatabaseKind
  /** A short look instead of figures to quote. */
  readonly isQuick: boolean
  /** Passes of each side, interleaved; medians are told. */
  readonly passes: number
  readonly warmUpMs: number
  readonly ms: number
}

export function settingOf(kind: DatabaseKind, isQuick: boolean): Setting {
  return isQuick
    ? { kind, isQuick, passes: 1, warmUpMs: 300, ms: 700 }
    : { kind, isQuick, passes: 3, warmUpMs: 500, ms: 1_300 }
}

export const databaseNames: Readonly<Record<DatabaseKind, string>> = {
  postgres: 'PostgreSQL',
  embedded: 'embedded',
}
