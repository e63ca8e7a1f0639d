import { useState, type SubmitEvent } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { parsePastedLink } from '../platform/link-token.ts'
import { linkToken, navigate } from '../platform/navigation.ts'
import { renderRoute } from '../platform/route.ts'
import { useLive } from '../platform/use-live.ts'
import { problemText } from '../session/problem-text.ts'
import type { SessionStore } from '../session/session-store.ts'
import { useSignOut } from '../session/use-sign-out.tsx'
import { ErrorNotice } from '../ui/notice.tsx'
import { PageHeading } from '../ui/page-heading.tsx'
import { TextField } from '../ui/text-field.tsx'
import { useTask } from '../ui/use-task.ts'
import { EntryPage } from './entry-page.tsx'

export interface SignInLinkScreenProps {
  readonly store: SessionStore
  readonly isSignedIn: boolean
}

/** A one-time link: the user chooses a password and is signed in. Who is signed in signs out first. */
export function SignInLinkScreen({ store, isSignedIn }: SignInLinkScreenProps) {
  const { t } = useLanguage()
  const token = useLive(linkToken)
  return (
    <EntryPage>
      <PageHeading>{t('link.title')}</PageHeading>
      {isSignedIn ? <SignOutFirst /> : <LinkForm key={token} store={store} token={token} />}
      <p className="entry-footer">
        <a href={renderRoute({ page: 'conversations' })}>{isSignedIn ? t('link.goBack') : t('link.havePassword')}</a>
      </p>
    </EntryPage>
  )
}

/** Inside the session that is to end. */
function SignOutFirst() {
  const { t } = useLanguage()
  const { start, dialog } = useSignOut()
  return (
    <>
      <p>{t('link.signedIn')}</p>
      <button type="button" className="button button-primary" onClick={start}>
        {t('action.signOut')}
      </button>
      {dialog}
    </>
  )
}

interface LinkFormProps {
  readonly store: SessionStore
  readonly token: string | undefined
}

function LinkForm({ store, token }: LinkFormProps) {
  const { t } = useLanguage()
  const [pasted, setPasted] = useState(token ?? '')
  const [password, setPassword] = useState('')
  const [repeated, setRepeated] = useState('')
  const [isUnequal, setUnequal] = useState(false)
  const task = useTask()

  function submit(event: SubmitEvent): void {
    event.preventDefault()
    setUnequal(password !== repeated)
    if (password !== repeated) return task.clear()
    void task.run(async () => {
      await store.signInByLink({ token: parsePastedLink(pasted), password })
      navigate({ page: 'conversations' }, { replace: true })
    })
  }

  const error = isUnequal ? t('link.unequal') : task.error === null ? null : problemText(t, task.error)
  return (
    <form onSubmit={submit} className="form">
      <p>{t('link.text')}</p>
      <TextField
        label={t('link.token')}
        name="link"
        autoComplete="off"
        spellCheck={false}
        required
        value={pasted}
        onValue={setPasted}
      />
      <TextField
        label={t('link.password')}
        hint={t('link.passwordHint')}
        type="password"
        autoComplete="new-password"
        required
        value={password}
        onValue={setPassword}
      />
      <TextField
        label={t('link.repeat')}
        type="password"
        autoComplete="new-password"
        required
        value={repeated}
        onValue={setRepeated}
      />
      <ErrorNotice text={error} />
      <button className="button button-primary" disabled={task.isRunning}>
        {task.isRunning ? t('signIn.running') : t('link.submit')}
      </button>
    </form>
  )
}
