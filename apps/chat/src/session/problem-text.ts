import { SottoProblem } from '@sotto/sdk'
import type { MessageKey, Translate } from '../i18n/translator.ts'

/** Problems that a person can meet, in her words. The texts of the server are English and made for developers. */
const texts = {
  'identity/sign-in-failed': 'problem.signInFailed',
  'identity/link-invalid': 'problem.linkInvalid',
  'identity/password-weak': 'problem.passwordWeak',
  'identity/session-ended': 'problem.sessionEnded',
  'identity/unauthenticated': 'problem.sessionEnded',
  'identity/refresh-invalid': 'problem.sessionEnded',
  'platform/invalid-input': 'problem.invalidInput',
  'platform/rate-limited': 'problem.rateLimited',
  'platform/unavailable': 'problem.unavailable',
  'platform/draining': 'problem.unavailable',
  'platform/internal': 'problem.internal',
  'platform/too-large': 'problem.tooLarge',
  'messages/too-large': 'problem.tooLarge',
  'messages/entry-conflict': 'problem.entryConflict',
  'access/denied': 'problem.denied',
  'access/not-found': 'problem.notFound',
  'conversations/closed': 'problem.closed',
  'conversations/too-many-members': 'problem.tooManyMembers',
  'conversations/unknown-user': 'problem.unknownUser',
  'conversations/last-manager': 'problem.lastManager',
  'sdk/network': 'problem.network',
  'sdk/timeout': 'problem.network',
  'sdk/unexpected-reply': 'problem.network',
  'sdk/storage-failed': 'problem.storageFailed',
  'sdk/not-kept': 'problem.notKept',
  'sdk/maybe-sent': 'discard.maybeSent',
} as const satisfies Readonly<Record<string, MessageKey>>

/** What went wrong and what to do, for a person. An unknown problem names its code, so that help can be found. */
export function problemText(t: Translate, error: unknown): string {
  if (!(error instanceof SottoProblem)) return t('problem.network')
  if (error.code === 'identity/sign-in-delayed') {
    return t('problem.signInDelayed', { count: Math.max(1, Math.ceil((error.retryAfterMs ?? 1_000) / 1_000)) })
  }
  const key = (texts as Readonly<Record<string, (typeof texts)[keyof typeof texts] | undefined>>)[error.code]
  return key === undefined ? t('problem.other', { code: error.code }) : t(key)
}
