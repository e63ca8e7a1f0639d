import 'vitest'

// What a test may say about itself beyond passing, set as `task.meta.counts = { rounds: 5 }`: how much it did and from
// which seed. tools/test.ts puts both into docs/reference/test-long.md.
declare module 'vitest' {
  interface TaskMeta {
    counts?: Readonly<Record<string, number>>
    seed?: number
  }
}
