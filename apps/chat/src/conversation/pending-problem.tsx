import type { Conversation, PendingItem } from '@sotto/sdk'
import { useLanguage } from '../i18n/language.tsx'
import { useLive } from '../platform/use-live.ts'
import { problemText } from '../session/problem-text.ts'
import { useSession } from '../session/session-context.tsx'

export interface PendingProblemProps {
  readonly item: PendingItem
  readonly conversation: Conversation
}

/** Why a message has not been sent, and what can be done about it. */
export function PendingProblem({ item, conversation }: PendingProblemProps) {
  const { t } = useLanguage()
  const { sotto } = useSession()
  const isOnline = useLive(sotto.connection).status === 'online'
  const { state, problem, key } = item
  if (state === 'sent' || state === 'sending' || (state === 'waiting' && isOnline && problem === null)) return null
  return (
    <div className={state === 'failed' ? 'pending pending-failed' : 'pending'}>
      <p>{problem === null ? t('pending.waits') : problemText(t, problem)}</p>
      <div className="buttons">
        {state === 'failed' ? (
          <button type="button" className="button button-small" onClick={() => conversation.retry(key)}>
            {t('action.tryAgain')}
          </button>
        ) : null}
        <button
          type="button"
          className="button button-small"
          onClick={() => void conversation.discard(key).catch(() => {})}
        >
          {t('action.discard')}
        </button>
      </div>
    </div>
  )
}
