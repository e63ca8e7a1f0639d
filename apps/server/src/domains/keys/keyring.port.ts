import type { KeyObject } from 'node:crypto'

/**
 * Where the roots of all keys live: a folder beside the data folder (`adapters/keyring-local`), or a KMS or HSM.
 * It is never in the database and never in the data folder, so that neither of them, nor a backup of either, opens anything.
 *
 * - **Durability.** `createSubjectKey` and `destroySubjectKey` resolve only when their effect survives a loss of power. What
 *   was wrapped under an earlier root opens as long as that root is kept.
 * - **Consistency.** Every process of a deployment sees one keyring. What one has created, all find; what one has destroyed,
 *   nobody finds again, not even by creating it anew.
 * - **Concurrency.** Any number of processes and calls at once; two that create the same subject's key get the same key.
 * - **Retries.** All operations may be repeated with the same result. A rejected `createSubjectKey` or `destroySubjectKey` may
 *   have happened: the caller repeats it until it resolves. Nothing here is undone by a database's rollback; a subject key
 *   without a subject is harmless.
 * - **Latency.** May be a network call, so no operation is called while a transaction waits, save at the birth of a tenant.
 *   Callers keep what they get for minutes, not for ever.
 */
export interface Keyring {
  /**
   * Protects a tenant's wrapping key by the deployment's root.
   * @param context  which key this is; the same list is needed to unwrap
   */
  wrap(context: readonly string[], key: KeyObject): Promise<Uint8Array>
  /** @throws SealBroken when it was not wrapped by this keyring for this context */
  unwrap(context: readonly string[], wrapped: Uint8Array): Promise<KeyObject>
  /** @returns undefined when it was never created or has been destroyed */
  findSubjectKey(tenantId: string, subjectUserId: string): Promise<KeyObject | undefined>
  /** Creates it once. @returns the key that stands, or undefined when it has been destroyed, which is for ever */
  createSubjectKey(tenantId: string, subjectUserId: string): Promise<KeyObject | undefined>
  destroySubjectKey(tenantId: string, subjectUserId: string): Promise<void>
  /**
   * A secret of the whole deployment, the same in every process and after every restart and root rotation.
   * @param purpose  distinct for every use; the list stands in the README of the room
   */
  derive(purpose: string): KeyObject
}
