import type { User } from '@sotto/sdk'
import { useState, type SubmitEvent } from 'react'
import { mayStartConversations } from '../home/may.ts'
import { useLanguage } from '../i18n/language.tsx'
import { navigate } from '../platform/navigation.ts'
import { renderRoute } from '../platform/route.ts'
import { problemText } from '../session/problem-text.ts'
import { useSession } from '../session/session-context.tsx'
import { useUsers } from '../session/use-users.ts'
import { BackIcon } from '../ui/icons.tsx'
import { LoadProblem } from '../ui/load-problem.tsx'
import { ErrorNotice } from '../ui/notice.tsx'
import { PageHeading } from '../ui/page-heading.tsx'
import { PeoplePicker } from '../ui/people-picker.tsx'
import { SelectField } from '../ui/select-field.tsx'
import { TextField } from '../ui/text-field.tsx'
import { useTask } from '../ui/use-task.ts'

export function NewConversationScreen() {
  const { t } = useLanguage()
  const { session } = useSession()
  return (
    <section className="pane page" aria-label={t('new.title')}>
      <div className="page-head">
        <a className="button button-icon back-link" href={renderRoute({ page: 'conversations' })}>
          <BackIcon />
          <span className="visually-hidden">{t('conversation.back')}</span>
        </a>
        <PageHeading>{t('new.title')}</PageHeading>
      </div>
      {mayStartConversations(session.user.role) ? <NewConversationForm /> : <p>{t('new.notAllowed')}</p>}
    </section>
  )
}

function NewConversationForm() {
  const { t } = useLanguage()
  const { sotto, session } = useSession()
  const users = useUsers()
  const [kind, setKind] = useState<'direct' | 'group'>('direct')
  const [chosen, setChosen] = useState<readonly string[]>([])
  const [title, setTitle] = useState('')
  /** Undefined: the user has not said; then it is the patient who is chosen for a direct conversation. */
  const [about, setAbout] = useState<string>()
  const task = useTask()
  const others = users.value?.filter(({ userId, active }) => active && userId !== session.userId)
  const subject = about ?? (kind === 'direct' ? (findPatient(others, chosen[0])?.userId ?? '') : '')

  function submit(event: SubmitEvent): void {
    event.preventDefault()
    void task.run(async () => {
      const conversation = await sotto.conversations.create({
        kind,
        memberIds: [...chosen],
        title: kind === 'group' && title.trim() !== '' ? title.trim() : null,
        subjectUserId: subject === '' ? null : subject,
      })
      navigate({ page: 'conversation', conversationId: conversation.conversationId, people: false }, { replace: true })
    })
  }

  return (
    <form className="form" onSubmit={submit}>
      <KindChoice
        kind={kind}
        onChange={(next) => {
          setKind(next)
          if (next === 'direct') setChosen(chosen.slice(0, 1))
        }}
      />
      {kind === 'group' ? (
        <TextField label={t('new.name')} hint={t('new.nameHint')} maxLength={200} value={title} onValue={setTitle} />
      ) : null}
      <PeoplePicker
        legend={kind === 'group' ? t('new.people') : t('new.person')}
        users={others}
        chosen={chosen}
        isSingle={kind === 'direct'}
        onChange={setChosen}
      />
      <SubjectSelect users={others ?? []} value={subject} onChange={setAbout} />
      <LoadProblem loaded={users} />
      <ErrorNotice text={task.error === null ? null : problemText(t, task.error)} />
      <button className="button button-primary" disabled={chosen.length === 0 || task.isRunning}>
        {t('new.submit')}
      </button>
    </form>
  )
}

function findPatient(users: readonly User[] | undefined, userId: string | undefined): User | undefined {
  return users?.find((user) => user.userId === userId && user.role === 'patient')
}

interface KindChoiceProps {
  readonly kind: 'direct' | 'group'
  readonly onChange: (kind: 'direct' | 'group') => void
}

function KindChoice({ kind, onChange }: KindChoiceProps) {
  const { t } = useLanguage()
  return (
    <fieldset className="picker">
      <legend>{t('new.kind')}</legend>
      <div className="choices">
        {(['direct', 'group'] as const).map((each) => (
          <label key={each} className="choice">
            <input type="radio" name="kind" checked={kind === each} onChange={() => onChange(each)} />
            {t(`new.${each}`)}
          </label>
        ))}
      </div>
    </fieldset>
  )
}

interface SubjectSelectProps {
  readonly users: readonly User[]
  readonly value: string
  readonly onChange: (userId: string) => void
}

/** Which patient it is about decides how it is kept and what the audit trail says. */
function SubjectSelect({ users, value, onChange }: SubjectSelectProps) {
  const { t } = useLanguage()
  const patients = users.filter(({ role }) => role === 'patient')
  return (
    <SelectField
      label={t('new.about')}
      value={value}
      choices={[
        { value: '', label: t('new.aboutNobody') },
        ...patients.map(({ userId, displayName }) => ({ value: userId, label: displayName })),
      ]}
      onValue={onChange}
    />
  )
}
