/**
 * Takes the embedded engine's one session away from its superuser.
 *
 * The engine runs PostgreSQL in single-user mode, where the session belongs to the bootstrap superuser. `set session
 * authorization` makes it look like another role, and `reset` does not lead back, but whoever *authenticated* as a
 * superuser may name any role again, and single-user mode "authenticates" the bootstrap superuser. PostgreSQL keeps that
 * in one word of memory (AuthenticatedUserId in miscinit.c) and offers no statement to change it. It lies right behind
 * the three words that `set session authorization` has just set, which is how it is found; it is then given the same
 * value. Afterwards the way back is tried, and if it is open the engine does not serve.
 *
 * This leans on the layout of one build: the version of PGlite is pinned exactly, and tests try the ways out.
 */

import assert from 'node:assert'
import type { PGlite } from '@electric-sql/pglite'

export interface EngineSession {
  /** From here on the session is `role`. @throws Error NOT_LOCKED_DOWN when a way back is open */
  lockDown(role: string): Promise<void>
  /** Runs `work` as the superuser, between two transactions; for migration, backup and white-box tests. */
  asSuperuser<T>(work: () => Promise<T>): Promise<T>
}

/** The code of the error that says so. */
export const NOT_LOCKED_DOWN = 'engine-not-locked-down'

/** BOOTSTRAP_SUPERUSERID of pg_authid.dat. */
const BOOTSTRAP_SUPERUSER = 10
/** PostgreSQL's static data lies far below this. */
const STATIC_DATA_WORDS = 4 * 1024 * 1024

export function createEngineSession(engine: PGlite): EngineSession {
  let locked: { readonly role: string; readonly roleId: number; readonly address: number } | undefined

  function words(): Uint32Array {
    // Fetched anew each time: the view is replaced when the engine's memory grows.
    return new Uint32Array((engine.Module as unknown as { HEAPU8: Uint8Array }).HEAPU8.buffer)
  }

  async function impersonate(role: string): Promise<void> {
    await engine.exec(`set session authorization ${role}`)
  }

  return {
    async lockDown(role) {
      const { rows } = await engine.query<{ id: number; name: string }>(
        'select oid::int as id, quote_ident(rolname) as name from pg_roles where rolname = $1',
        [role],
      )
      const { id, name } = rows[0]!
      await impersonate(name)
      const address = findAuthenticatedUser(words(), id)
      words()[address] = id
      if (await isOpen(engine)) throw notLockedDown('The embedded engine cannot be taken from its superuser')
      locked = { role: name, roleId: id, address }
    },
    async asSuperuser(work) {
      if (locked === undefined) return work()
      assert(!engine.isInTransaction(), 'The superuser works between two transactions')
      words()[locked.address] = BOOTSTRAP_SUPERUSER
      await impersonate('postgres')
      try {
        return await work()
      } finally {
        // Work that leaves its transaction open has failed: the session cannot be given back inside of it.
        if (engine.isInTransaction()) await engine.exec('rollback')
        await impersonate(locked.role)
        words()[locked.address] = locked.roleId
      }
    },
  }
}

/** Three equal words (session, outer and current user), and the superuser's id within the next eight. */
function findAuthenticatedUser(memory: Uint32Array, roleId: number): number {
  const found: number[] = []
  for (let at = 0; at < STATIC_DATA_WORDS; at++) {
    if (memory[at] !== roleId || memory[at + 1] !== roleId || memory[at + 2] !== roleId) continue
    const offset = memory.subarray(at + 3, at + 11).indexOf(BOOTSTRAP_SUPERUSER)
    if (offset >= 0) found.push(at + 3 + offset)
  }
  if (found.length !== 1) throw notLockedDown(`The embedded engine's user was found ${found.length} times, not once`)
  return found[0]!
}

function notLockedDown(message: string): Error {
  return Object.assign(new Error(message), { code: NOT_LOCKED_DOWN })
}

async function isOpen(engine: PGlite): Promise<boolean> {
  try {
    await engine.exec('set session authorization postgres')
    return true
  } catch {
    return false
  }
}
