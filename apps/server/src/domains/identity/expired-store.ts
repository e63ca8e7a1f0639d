import { statement, type Tx } from '../../platform/db/tx.ts'

/** Rows deleted by one transaction, so that it never holds a table for long. The next run goes on. */
const BATCH_MAX = 10_000

const refreshTokens = statement<never>(
  'identity.expired-refresh-tokens',
  `delete from refresh_token where (tenant_id, token_hash) in
     (select tenant_id, token_hash from refresh_token where expires_at < now() limit ${BATCH_MAX})`,
)
const tickets = statement<never>(
  'identity.expired-tickets',
  `delete from socket_ticket where (tenant_id, ticket_hash) in
     (select tenant_id, ticket_hash from socket_ticket where expires_at < now() limit ${BATCH_MAX})`,
)
const links = statement<never>(
  'identity.expired-links',
  `delete from sign_in_link where (tenant_id, token_hash) in
     (select tenant_id, token_hash from sign_in_link where expires_at < now() limit ${BATCH_MAX})`,
)
const failures = statement<never>(
  'identity.expired-failures',
  `delete from sign_in_failure where (tenant_id, key_hash) in
     (select tenant_id, key_hash from sign_in_failure where last_failed_at < now() - interval '1 day' limit ${BATCH_MAX})`,
)
const sessions = statement<never>(
  'identity.expired-sessions',
  `delete from session where (tenant_id, session_id) in (
     select s.tenant_id, s.session_id from session s
     where s.absolute_expires_at < now() - interval '1 day'
       and not exists (select from refresh_token r where r.tenant_id = s.tenant_id and r.session_id = s.session_id)
       and not exists (select from socket_ticket k where k.tenant_id = s.tenant_id and k.session_id = s.session_id)
     limit ${BATCH_MAX})`,
)

/**
 * Under the role `jobs`, whose policies let it see nothing that is not over by the database's own clock: the same conditions
 * stand here only to say what is meant.
 * @returns how many rows
 */
export async function deleteExpired(tx: Tx): Promise<number> {
  const statements = [refreshTokens, tickets, links, failures, sessions]
  const counts = await Promise.all(statements.map((each) => tx.run(each)))
  return counts.reduce((sum, count) => sum + count, 0)
}
