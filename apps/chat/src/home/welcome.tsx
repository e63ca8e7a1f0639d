import { useLanguage } from '../i18n/language.tsx'
import { useLive } from '../platform/use-live.ts'
import { useSession } from '../session/session-context.tsx'

/** Beside the list while nothing is open. */
export function Welcome() {
  const { t } = useLanguage()
  const { sotto } = useSession()
  const { items, status } = useLive(sotto.conversations)
  if (status === 'loading') return <section className="pane welcome" aria-busy="true" />
  return (
    <section className="pane welcome" aria-label={t('welcome.title')}>
      <p>{items.length === 0 ? t('list.empty') : t('welcome.text')}</p>
    </section>
  )
}
