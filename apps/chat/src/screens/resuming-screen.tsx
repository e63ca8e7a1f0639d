import { useLanguage } from '../i18n/language.tsx'
import { EntryPage } from './entry-page.tsx'

/** While the session of an earlier visit is being looked for. */
export function ResumingScreen({
  isUnreachable,
  onRetry,
}: {
  readonly isUnreachable: boolean
  readonly onRetry: () => void
}) {
  const { t } = useLanguage()
  return (
    <EntryPage>
      <h1>{isUnreachable ? t('resuming.unreachable') : t('resuming.title')}</h1>
      <output>{isUnreachable ? t('resuming.unreachableText') : t('resuming.text')}</output>
      {isUnreachable ? (
        <button type="button" className="button button-primary" onClick={onRetry}>
          {t('action.tryNow')}
        </button>
      ) : (
        <span className="spinner" aria-hidden="true" />
      )}
    </EntryPage>
  )
}
