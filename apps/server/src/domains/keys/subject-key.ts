import { problem } from '../../platform/problem/problem.ts'
import { tenantPrefix } from './key.model.ts'
import type { KeysDeps, SubjectRef } from './key.model.ts'

/**
 * Makes the key of a patient, once. Before the transaction that makes the user, never within it: it lies outside of the
 * database, and one without a user is harmless.
 *
 * @throws keys/unreadable 410, when it has been destroyed: a user id is never used again
 */
export async function createSubjectKey(deps: KeysDeps, { tenantId, subjectUserId }: SubjectRef): Promise<void> {
  if ((await deps.keyring.createSubjectKey(tenantId, subjectUserId)) === undefined) throw problem('keys/unreadable')
}

/** Whether a patient's key is there: false once it was destroyed, and for whoever never had one. Asks the keyring itself. */
export async function hasSubjectKey(
  deps: Pick<KeysDeps, 'keyring'>,
  { tenantId, subjectUserId }: SubjectRef,
): Promise<boolean> {
  return (await deps.keyring.findSubjectKey(tenantId, subjectUserId)) !== undefined
}

/**
 * Makes all that is about a patient unreadable for ever: conversations, names, bodies of audit events, in every backup of the
 * database too. In this process at once; in others as soon as `forgetTenantKeys` is called there, at the latest when
 * their keys age (`KEY_FRESH_MS_MAX`). Repeat it until it resolves.
 *
 * @effects the keyring; no audit event: the caller records the erasure
 * @control 164.310(d)(2)(i)
 */
export async function destroySubjectKey(deps: KeysDeps, { tenantId, subjectUserId }: SubjectRef): Promise<void> {
  try {
    await deps.keyring.destroySubjectKey(tenantId, subjectUserId)
  } finally {
    forgetTenantKeys(deps, tenantId)
  }
}

/** Drops every key of a tenant from this process's memory, with what was derived from it. It costs reads, never data. */
export function forgetTenantKeys(deps: Pick<KeysDeps, 'cache' | 'sealer'>, tenantId: string): void {
  deps.cache.forget(tenantPrefix(tenantId))
  deps.sealer.forget(tenantPrefix(tenantId))
}
