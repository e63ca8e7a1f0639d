import type { Db } from '../../platform/db/tx.ts'
import { deleteExpired } from './expired-store.ts'

/**
 * Deletes what is over: refresh tokens, tickets, links, forgiven failures, and sessions a day after their end. For the job
 * runner; any number of nodes may run it at once. Who did what with it stays in the audit trail.
 *
 * @returns how many rows are gone
 * @effects refresh_token, socket_ticket, sign_in_link, sign_in_failure, session; no audit event: nothing that lives changes
 */
export async function purgeExpiredIdentity(db: Db): Promise<number> {
  return db.withTx({ role: 'jobs' }, deleteExpired)
}
