import type { Sotto } from '@sotto/sdk'
import { useState, type ReactNode } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { useLive } from '../platform/use-live.ts'
import { ConfirmDialog } from '../ui/confirm-dialog.tsx'
import { useTask, type Task } from '../ui/use-task.ts'
import { useSession } from './session-context.tsx'

export interface SignOut {
  readonly task: Task
  /** Signs out at once, or asks first when messages would be lost. */
  readonly start: () => void
  /** The question, to be rendered; null while none is asked. */
  readonly dialog: ReactNode
}

/** Signing out removes what waits on this device. Every way to it leads here: who would lose a message is asked first. */
export function useSignOut(): SignOut {
  const { t } = useLanguage()
  const { sotto, store } = useSession()
  const [isAsking, setAsking] = useState(false)
  const task = useTask()

  async function begin(): Promise<void> {
    if ((await countUnsent(sotto)) > 0) setAsking(true)
    else await store.signOut()
  }

  function confirm(): void {
    setAsking(false)
    void task.run(() => store.signOut())
  }

  const dialog = isAsking ? (
    <ConfirmDialog
      title={t('signOut.title')}
      confirm={t('signOut.confirm')}
      onConfirm={confirm}
      onCancel={() => setAsking(false)}
    >
      <UnsentWarning />
    </ConfirmDialog>
  ) : null
  return { task, start: () => void task.run(begin), dialog }
}

/** What is lost by signing out now; nothing when there is nothing. */
export function UnsentWarning() {
  const { t } = useLanguage()
  const { sotto } = useSession()
  const { waiting, failed } = useLive(sotto.outbox)
  return waiting + failed === 0 ? null : <p>{t('signOut.unsent', { count: waiting + failed })}</p>
}

/** Waits until what an earlier visit has left is known, or cannot be known. */
function countUnsent({ outbox, connection }: Sotto): Promise<number> {
  return new Promise((resolve) => {
    const look = (): void => {
      const { status, waiting, failed } = outbox.getSnapshot()
      if (status === 'loading' && connection.getSnapshot().status !== 'ended') return
      for (const stop of stops) stop()
      resolve(waiting + failed)
    }
    const stops = [outbox.subscribe(look), connection.subscribe(look)]
    look()
  })
}
