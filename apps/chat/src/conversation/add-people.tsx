import type { Member } from '@sotto/sdk'
import { useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { problemText } from '../session/problem-text.ts'
import { useSession } from '../session/session-context.tsx'
import { LoadProblem } from '../ui/load-problem.tsx'
import { ErrorNotice } from '../ui/notice.tsx'
import { PeoplePicker } from '../ui/people-picker.tsx'
import { useTask } from '../ui/use-task.ts'
import { useUsers } from '../session/use-users.ts'

export interface AddPeopleProps {
  readonly conversationId: string
  readonly members: readonly Member[]
}

export function AddPeople({ conversationId, members }: AddPeopleProps) {
  const { t } = useLanguage()
  const [isOpen, setOpen] = useState(false)
  return (
    <div className="stack">
      <button type="button" className="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        {t('people.add')}
      </button>
      {isOpen ? <AddForm conversationId={conversationId} members={members} onDone={() => setOpen(false)} /> : null}
    </div>
  )
}

function AddForm({ conversationId, members, onDone }: AddPeopleProps & { readonly onDone: () => void }) {
  const { t } = useLanguage()
  const { sotto } = useSession()
  const users = useUsers()
  const [chosen, setChosen] = useState<readonly string[]>([])
  const task = useTask()
  const others = users.value?.filter(({ userId }) => !members.some((member) => member.userId === userId))

  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault()
        void task.run(async () => {
          await sotto.api.addMember({ conversationId, userIds: [...chosen] })
          await sotto.conversation(conversationId).members()
          onDone()
        })
      }}
    >
      <PeoplePicker legend={t('people.choose')} users={others} chosen={chosen} isSingle={false} onChange={setChosen} />
      <LoadProblem loaded={users} />
      <ErrorNotice text={task.error === null ? null : problemText(t, task.error)} />
      <button className="button button-primary" disabled={chosen.length === 0 || task.isRunning}>
        {chosen.length === 0 ? t('people.add') : t('people.addChosen', { count: chosen.length })}
      </button>
    </form>
  )
}
