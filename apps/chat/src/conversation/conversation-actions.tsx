import type { Capability, ConversationSummary } from '@sotto/sdk'
import { useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { navigate } from '../platform/navigation.ts'
import { problemText } from '../session/problem-text.ts'
import { useSession } from '../session/session-context.tsx'
import { ConfirmDialog } from '../ui/confirm-dialog.tsx'
import { ErrorNotice } from '../ui/notice.tsx'
import { useTask } from '../ui/use-task.ts'

export interface ConversationActionsProps {
  readonly summary: ConversationSummary
  readonly can: readonly Capability[]
}

/** Close, open again, leave: what of it the server allows. */
export function ConversationActions({ summary, can }: ConversationActionsProps) {
  const { t } = useLanguage()
  const { sotto, session } = useSession()
  const [isLeaving, setLeaving] = useState(false)
  const task = useTask()
  const { conversationId, closed } = summary

  function leave(): void {
    setLeaving(false)
    void task.run(async () => {
      await sotto.api.removeMember({ conversationId, userId: session.userId })
      navigate({ page: 'conversations' }, { replace: true })
    })
  }

  return (
    <div className="stack people-actions">
      {can.includes('conversation.update') ? (
        <button
          type="button"
          className="button"
          disabled={task.isRunning}
          onClick={() =>
            void task.run(async () => void (await sotto.api.updateConversation({ conversationId, closed: !closed })))
          }
        >
          {closed ? t('conversation.reopen') : t('conversation.close')}
        </button>
      ) : null}
      {can.includes('member.leave') ? (
        <button type="button" className="button" disabled={task.isRunning} onClick={() => setLeaving(true)}>
          {t('conversation.leave')}
        </button>
      ) : null}
      <ErrorNotice text={task.error === null ? null : problemText(t, task.error)} />
      {isLeaving ? (
        <ConfirmDialog
          title={t('conversation.leaveTitle')}
          confirm={t('conversation.leave')}
          onConfirm={leave}
          onCancel={() => setLeaving(false)}
        >
          <p>{t('conversation.leaveText')}</p>
        </ConfirmDialog>
      ) : null}
    </div>
  )
}
