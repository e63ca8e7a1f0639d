import { useCallback, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { useUsers } from '../session/use-users.ts'
import { useSession } from '../session/session-context.tsx'
import { LoadProblem } from '../ui/load-problem.tsx'
import { PageHeading } from '../ui/page-heading.tsx'
import { useLoaded } from '../ui/use-loaded.ts'
import { anyEvent, toQuery, type AuditFilter } from './audit-filter.ts'
import { AuditForm } from './audit-form.tsx'
import { AuditTable } from './audit-table.tsx'
import '../styles/audit.css'

/** The audit trail: who did what, about whom, when, from where, with what outcome. Each search is recorded too. */
export function AuditScreen() {
  const { t } = useLanguage()
  const { sotto } = useSession()
  const users = useUsers()
  const [filter, setFilter] = useState<AuditFilter>(anyEvent)
  /** Where the pages up to the present one begin; the first begins nowhere. */
  const [starts, setStarts] = useState<readonly (string | undefined)[]>([undefined])
  const after = starts.at(-1)
  const load = useCallback(
    (signal: AbortSignal) => sotto.api.listAuditEvents(toQuery(filter, after), { signal }),
    [sotto, filter, after],
  )
  const loaded = useLoaded(load)
  const next = loaded.value?.next ?? null

  function search(wanted: AuditFilter): void {
    setStarts([undefined])
    setFilter(wanted)
  }

  return (
    <section className="pane page audit" aria-label={t('audit.title')}>
      <PageHeading>{t('audit.title')}</PageHeading>
      <p className="hint">{t('audit.text')}</p>
      <AuditForm key={filter.resourceId} filter={filter} users={users.value ?? []} onSearch={search} />
      <LoadProblem loaded={users} />
      <LoadProblem loaded={loaded} />
      <output className="audit-count">
        {loaded.isLoading ? t('audit.loading') : t('audit.found', { count: loaded.value?.items.length ?? 0 })}
      </output>
      <AuditTable
        events={loaded.value?.items ?? []}
        isBusy={loaded.isLoading}
        onResource={(resourceId) => search({ ...filter, resourceId })}
      />
      <div className="buttons">
        <button
          type="button"
          className="button"
          disabled={starts.length === 1 || loaded.isLoading}
          onClick={() => setStarts(starts.slice(0, -1))}
        >
          {t('audit.newer')}
        </button>
        <button
          type="button"
          className="button"
          disabled={next === null || loaded.isLoading}
          onClick={() => setStarts([...starts, next ?? undefined])}
        >
          {t('audit.older')}
        </button>
      </div>
    </section>
  )
}
