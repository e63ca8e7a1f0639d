import { SottoProblem, type Conversation, type PendingItem } from '@sotto/sdk'
import { useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { problemText } from '../session/problem-text.ts'
import { useConnection } from '../session/use-connection.ts'
import { ConfirmDialog } from '../ui/confirm-dialog.tsx'
import { ErrorNotice } from '../ui/notice.tsx'
import { useTask } from '../ui/use-task.ts'

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
        <DiscardButton entryId={key} conversation={conversation} isOffered={state !== 'sending'} />
      </div>
    </div>
  )
}

interface DiscardButtonProps {
  readonly entryId: string
  readonly conversation: Conversation
  /** Not while it is being sent; but who was asked may answer then, too. */
  readonly isOffered: boolean
}

/** Takes a message back. One that may be delivered already cannot be: that is said before it is only forgotten here. */
function DiscardButton({ entryId, conversation, isOffered }: DiscardButtonProps) {
  const { t } = useLanguage()
  const [isAsking, setAsking] = useState(false)
  const task = useTask()

  async function takeBack(): Promise<void> {
    try {
      await conversation.discard(entryId)
    } catch (error) {
      if (!(error instanceof SottoProblem) || error.code !== 'sdk/maybe-sent') throw error
      setAsking(true)
    }
  }

  function confirm(): void {
    setAsking(false)
    void task.run(() => conversation.discard(entryId, { anyway: true }))
  }

  if (!isOffered && !isAsking && task.error === null) return null
  return (
    <>
      <button type="button" className="button button-small" onClick={() => void task.run(takeBack)}>
        {t('action.discard')}
      </button>
      <ErrorNotice text={task.error === null ? null : problemText(t, task.error)} />
      {isAsking ? (
        <ConfirmDialog
          title={t('discard.title')}
          confirm={t('action.discard')}
          onConfirm={confirm}
          onCancel={() => setAsking(false)}
        >
          <p>{t('discard.maybeSent')}</p>
        </ConfirmDialog>
      ) : null}
    </>
  )
}
