import { statement, type Tx } from './tx.ts'

const actsAs = statement<{ known: boolean }>('context.acts-as', `select acts_as('lookup') as known`)

/**
 * Every proof of a tenant comes from the keyring. With another keyring than the one that migrated this database no tenant
 * would be there at all, and every statement would fail for a reason that nobody understands.
 *
 * @param tx  under the role `lookup`
 * @throws Error that says what to do
 */
export async function assertContextKnown(tx: Tx): Promise<void> {
  const [row] = await tx.rows(actsAs)
  if (row!.known) return
  throw new Error(
    'The keyring does not belong to this database: it was migrated with another one. Restore that one, or correct SOTTO_KEYRING_DIR.',
  )
}
