import { useState, type SubmitEvent } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { renderRoute } from '../platform/route.ts'
import { problemText } from '../session/problem-text.ts'
import type { SessionStore, SignedOutReason } from '../session/session-store.ts'
import { ErrorNotice } from '../ui/notice.tsx'
import { PageHeading } from '../ui/page-heading.tsx'
import { TextField } from '../ui/text-field.tsx'
import { useTask } from '../ui/use-task.ts'
import { EntryPage } from './entry-page.tsx'

export interface SignInScreenProps {
  readonly store: SessionStore
  readonly reason: SignedOutReason
  /** Messages that wait on this device since the session ended. */
  readonly unsent: number
  /** Whether the server knows that the user has signed out. */
  readonly isHeard: boolean
}

export function SignInScreen({ store, reason, unsent, isHeard }: SignInScreenProps) {
  const { t } = useLanguage()
  return (
    <EntryPage>
      <PageHeading>{t('signIn.title')}</PageHeading>
      {reason === 'none' ? null : (
        <output className="notice">
          <span>{t(reason === 'ended' ? 'signIn.sessionEnded' : isHeard ? 'signIn.signedOut' : 'signIn.unheard')}</span>
          {unsent > 0 ? <span>{t('signIn.unsentKept', { count: unsent })}</span> : null}
        </output>
      )}
      <SignInForm store={store} />
      <p className="entry-footer">
        <a href={renderRoute({ page: 'sign-in-link' })}>{t('signIn.haveLink')}</a>
      </p>
    </EntryPage>
  )
}

function SignInForm({ store }: { readonly store: SessionStore }) {
  const { t } = useLanguage()
  const [tenant, setTenant] = useState('')
  const [login, setLogin] = useState('')
  const [password, setPassword] = useState('')
  const task = useTask()

  function submit(event: SubmitEvent): void {
    event.preventDefault()
    void task.run(() => store.signIn({ tenant, login: login.trim(), password }))
  }

  return (
    <form onSubmit={submit} className="form">
      <TextField
        label={t('signIn.login')}
        name="username"
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        required
        value={login}
        onValue={setLogin}
      />
      <TextField
        label={t('signIn.password')}
        name="password"
        type="password"
        autoComplete="current-password"
        required
        value={password}
        onValue={setPassword}
      />
      <TextField
        label={t('signIn.tenant')}
        hint={t('signIn.tenantHint')}
        name="organization"
        autoComplete="organization"
        autoCapitalize="none"
        spellCheck={false}
        value={tenant}
        onValue={setTenant}
      />
      <ErrorNotice text={task.error === null ? null : problemText(t, task.error)} />
      <button className="button button-primary" disabled={task.isRunning}>
        {task.isRunning ? t('signIn.running') : t('signIn.submit')}
      </button>
    </form>
  )
}
