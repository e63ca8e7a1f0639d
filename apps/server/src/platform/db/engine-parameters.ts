import { PGlite } from '@electric-sql/pglite'

/** How the embedded engine is started: PGlite's own parameters, with durability in place of `-F` (no fsync). */
export const startParams: readonly string[] = [
  ...PGlite.defaultStartParams.filter((param) => param !== '-F'),
  '-c',
  'fsync=on',
  '-c',
  'wal_sync_method=fsync',
  // The file system's cache holds the same pages; 16 MB instead of 128 MB saves 140 MB of memory.
  '-c',
  'shared_buffers=16MB',
  '-c',
  'timezone=UTC',
  // What a checkpoint leaves behind of the log, to be written over: a small disk must not be full of it (`engine-log.ts`).
  '-c',
  'min_wal_size=32MB',
  '-c',
  'max_wal_size=64MB',
]
