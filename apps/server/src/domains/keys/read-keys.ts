import type { Tx } from '../../platform/db/tx.ts'
import type { KeysDeps } from './key.model.ts'
import { NOT_FRESH_MS } from './key-cache.ts'

/**
 * How a key is read when it is not in memory: in the transaction at hand, or by a function that opens one, which is called
 * only on a miss. Prefer the function wherever no transaction is open: a warm process then never touches the database, and a
 * keyring over the network is not asked while a transaction waits.
 *
 * @example getAuditKey(deps, (read) => db.withTx({ role: 'app', tenantId }, read), { tenantId })
 */
export type KeyAccess = Tx | (<Row>(read: (tx: Tx) => Promise<Row>) => Promise<Row>)

/** @returns what `read` gives, and until when it may be kept */
export async function readKeys<Row>(
  deps: KeysDeps,
  access: KeyAccess,
  read: (tx: Tx) => Promise<Row>,
): Promise<{ readonly row: Row; readonly freshUntilMs: number }> {
  const freshUntilMs = deps.cache.freshUntilMs()
  let isTrusted = true
  const readIn = (tx: Tx) => {
    isTrusted = deps.cache.isTrusted(tx)
    return read(tx)
  }
  const row = typeof access === 'function' ? await access(readIn) : await readIn(access)
  return { row, freshUntilMs: isTrusted ? freshUntilMs : NOT_FRESH_MS }
}
