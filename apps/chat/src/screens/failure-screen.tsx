import { useLanguage } from '../i18n/language.tsx'
import { EntryPage } from './entry-page.tsx'

/** The last resort: loading again keeps the session and everything that waits to be sent. */
export function FailureScreen() {
  const { t } = useLanguage()
  return (
    <EntryPage>
      <h1>{t('failure.title')}</h1>
      <p>{t('failure.text')}</p>
      <button type="button" className="button button-primary" onClick={() => location.reload()}>
        {t('action.loadAgain')}
      </button>
    </EntryPage>
  )
}
