/**
 * Keeps the embedded engine's write-ahead log short.
 *
 * A PostgreSQL server has a process that writes checkpoints; single-user mode, in which the engine runs, has none. Without
 * this the log would grow for as long as the server runs: it would fill the disk, and after a kill the next start would
 * read all of it again.
 */

import type { PGlite } from '@electric-sql/pglite'
import { dbLimits } from '../limits/db-limits.ts'
import type { EngineSession } from './engine-session.ts'

/** @param syncCount  how often the disk was told to keep something: while it stays the same, nothing was committed */
export function createLogKeeper(engine: PGlite, session: EngineSession, syncCount: () => number): () => Promise<void> {
  let seen = syncCount()
  async function look(): Promise<void> {
    try {
      if ((await readLogBytes(engine)) >= dbLimits.embeddedLogBytesMax) await engine.exec('checkpoint')
      seen = syncCount()
    } catch (error) {
      // PostgreSQL has refused and goes on: it is tried again at the next look. Anything else is the engine's death.
      if ((error as { readonly severity?: unknown }).severity !== 'ERROR') throw error
    }
  }

  /**
   * To be called between two transactions. Nobody is answered until the disk has what was written since the last
   * checkpoint. A session that cannot be given back to its role ends the engine: it must not serve as the superuser.
   */
  return async function keepLogShort(): Promise<void> {
    if (syncCount() !== seen) await session.asSuperuser(look)
  }
}

/** @returns the bytes that a start would have to read if the engine died now */
async function readLogBytes(engine: PGlite): Promise<number> {
  const { rows } = await engine.query<{ bytes: number }>(
    'select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), redo_lsn)::float8 as bytes from pg_control_checkpoint()',
  )
  return rows[0]!.bytes
}
