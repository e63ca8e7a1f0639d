import { useLanguage } from '../i18n/language.tsx'
import { problemText } from '../session/problem-text.ts'
import { ErrorNotice } from './notice.tsx'
import type { Loaded } from './use-loaded.ts'

/** Says why something could not be loaded, and offers to try again. */
export function LoadProblem({ loaded: { error, reload } }: { readonly loaded: Loaded<unknown> }) {
  const { t } = useLanguage()
  return (
    <ErrorNotice text={error === null ? null : problemText(t, error)}>
      <button type="button" className="button button-small" onClick={reload}>
        {t('action.tryAgain')}
      </button>
    </ErrorNotice>
  )
}
