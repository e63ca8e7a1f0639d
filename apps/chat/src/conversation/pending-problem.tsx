import type { Conversation, PendingItem } from '@sotto/sdk'
import { useLanguage } from '../i18n/language.tsx'
import { problemText } from '../session/problem-text.ts'
import { useConnection } from '../session/use-connection.ts'

export interface PendingProblemProps {
  readonly item: PendingItem
  readonly conversation: Conversation
}

/** Why a message has not been sent, and what can be done about it. */
export function PendingProblem({ item, conversation }: PendingProblemProps) {
  const { t } = useLanguage()
  const isOnline = useConnection().status === 'online'
  const { state, problem, key } = item
  if (state === 'sent' || (state !== 'failed' && isOnline && problem === null)) return null
  return (
    <div className={state === 'failed' ? 'pending pending-failed' : 'pending'}>
      <p>{problem === null ? t('pending.waits') : problemText(t, problem)}</p>
      <div className="buttons">
        {state === 'failed' ? (
          <button type="button" className="button button-small" onClick={() => conversation.retry(key)}>
            {t('action.tryAgain')}
          </button>
        ) : null}
        {state === 'sending' ? null : (
          <button
            type="button"
            className="button button-small"
            onClick={() => void conversation.discard(key).catch(() => {})}
          >
            {t('action.discard')}
          </button>
        )}
      </div>
    </div>
  )
}
