import { useEffect } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import type { MessageKey } from '../i18n/translator.ts'
import { useLive } from '../platform/use-live.ts'
import { useSession } from '../session/session-context.tsx'
import type { AuditEvent } from './audit-filter.ts'

export interface AuditTableProps {
  readonly events: readonly AuditEvent[]
  readonly isBusy: boolean
  /** Searches for everything on one conversation, user or other thing. */
  readonly onResource: (resourceId: string) => void
}

const columns = ['when', 'who', 'what', 'onWhat', 'aboutWhom', 'fromWhere', 'outcomeIs', 'purpose'] as const

/** On a narrow screen each row is a card: roles stand in the markup, because styles take a table's own away. */
export function AuditTable({ events, isBusy, onResource }: AuditTableProps) {
  const { t } = useLanguage()
  if (events.length === 0) return isBusy ? null : <p>{t('audit.none')}</p>
  return (
    <div className="audit-scroll" role="region" aria-label={t('audit.results')} tabIndex={0} aria-busy={isBusy}>
      <table className="audit-table" role="table">
        <thead role="rowgroup">
          <tr role="row">
            {columns.map((column) => (
              <th key={column} role="columnheader" scope="col">
                {t(`audit.${column}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {events.map((event) => (
            <AuditRow key={event.auditEventId} event={event} onResource={onResource} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

interface AuditRowProps {
  readonly event: AuditEvent
  readonly onResource: (resourceId: string) => void
}

function AuditRow({ event, onResource }: AuditRowProps) {
  const { t, formatDateTime } = useLanguage()
  const { actor, resource, outcome, purpose, code, count, at } = event
  return (
    <tr role="row" className={outcome === 'success' ? undefined : 'audit-refused'}>
      <td role="cell" data-label={t('audit.when')}>
        <time dateTime={at}>{formatDateTime(at)}</time>
      </td>
      <td role="cell" data-label={t('audit.who')}>
        <PersonName userId={actor.userId} />
        {actor.role === null ? null : <span className="hint">{t(`role.${actor.role}`)}</span>}
      </td>
      <td role="cell" data-label={t('audit.what')}>
        {actionText(t, event.action)}
        <Details details={event.details} />
      </td>
      <td role="cell" data-label={t('audit.onWhat')}>
        {resource === null ? '–' : <Resource resource={resource} onResource={onResource} />}
      </td>
      <td role="cell" data-label={t('audit.aboutWhom')}>
        <PersonName userId={event.subjectUserId} />
      </td>
      <td role="cell" data-label={t('audit.fromWhere')}>
        {actor.address ?? '–'}
        {actor.deviceId === null ? null : (
          <span className="hint">{t('audit.device', { id: shortId(actor.deviceId) })}</span>
        )}
      </td>
      <td role="cell" data-label={t('audit.outcomeIs')}>
        {t(`audit.outcome.${outcome}`)}
        {count > 1 ? ` × ${count}` : ''}
        {code === null ? null : <span className="hint">{code}</span>}
      </td>
      <td role="cell" data-label={t('audit.purpose')}>
        {t(`purpose.${purpose}`)}
      </td>
    </tr>
  )
}

/** A server may record what this page has no words for yet: then its name stands for it. */
function actionText(t: ReturnType<typeof useLanguage>['t'], action: AuditEvent['action']): string {
  const key = `audit.action.${action}` satisfies MessageKey
  const text = t(key)
  return text === key ? action : text
}

function Resource({ resource, onResource }: Pick<AuditRowProps, 'onResource'> & ResourceProps) {
  const { t } = useLanguage()
  return (
    <>
      {resource.type}
      <button type="button" className="link-button" onClick={() => onResource(resource.id)}>
        {shortId(resource.id)}
        <span className="visually-hidden">{t('audit.onlyThis')}</span>
      </button>
    </>
  )
}

interface ResourceProps {
  readonly resource: NonNullable<AuditEvent['resource']>
}

function PersonName({ userId }: { readonly userId: string | null }) {
  const { t } = useLanguage()
  const { people } = useSession()
  const person = useLive(people).byId.get(userId ?? '')
  const isUnknown = userId !== null && person === undefined
  useEffect(() => {
    if (isUnknown) people.wantPerson(userId)
  }, [people, userId, isUnknown])
  if (userId === null) return <>–</>
  return person === undefined ? (
    <>{t('audit.unknownPerson', { id: shortId(userId) })}</>
  ) : (
    <bdi>{person.displayName}</bdi>
  )
}

function Details({ details }: { readonly details: AuditEvent['details'] }) {
  const text = Object.entries(details)
    .map(([name, value]) => `${name}: ${Array.isArray(value) ? value.map(shorten).join(', ') : shorten(value)}`)
    .join(' · ')
  return text === '' ? null : <span className="hint">{text}</span>
}

function shorten(value: string | number | boolean): string {
  const text = String(value)
  return /^[0-9a-f-]{36}$/.test(text) ? shortId(text) : text
}

/** Ids of one time begin alike: their end tells them apart. */
function shortId(id: string): string {
  return id.length > 12 ? `…${id.slice(-8)}` : id
}
