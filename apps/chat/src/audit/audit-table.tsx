import type { AuditEvent, Role } from '@sotto/protocol'
import { useEffect } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import type { MessageKey } from '../i18n/translator.ts'
import { useLive } from '../platform/use-live.ts'
import { useSession } from '../session/session-context.tsx'

export interface AuditTableProps {
  readonly events: readonly AuditEvent[]
  readonly isBusy: boolean
  /** Searches for everything on one conversation, user or other thing. */
  readonly onResource: (resourceId: string) => void
}

const columns = ['when', 'who', 'what', 'onWhat', 'aboutWhom', 'fromWhere', 'outcomeIs', 'purpose'] as const

/** On a narrow screen each row is a card, with the name of its column before each value. */
export function AuditTable({ events, isBusy, onResource }: AuditTableProps) {
  const { t } = useLanguage()
  if (events.length === 0) return isBusy ? null : <p>{t('audit.none')}</p>
  return (
    // A region that scrolls takes the focus, so that the arrow keys scroll it (WCAG 2.1.1).
    <section className="audit-scroll" aria-label={t('audit.results')} tabIndex={0} aria-busy={isBusy}>
      <table className="audit-table">
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {t(`audit.${column}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {events.map((event) => (
            <AuditRow key={event.auditEventId} event={event} onResource={onResource} />
          ))}
        </tbody>
      </table>
    </section>
  )
}

interface AuditRowProps {
  readonly event: AuditEvent
  readonly onResource: (resourceId: string) => void
}

function AuditRow({ event, onResource }: AuditRowProps) {
  const { t, formatExact } = useLanguage()
  const { actor, resource, outcome, purpose, code, count, at } = event
  return (
    <tr className={outcome === 'success' ? undefined : 'audit-refused'}>
      <td data-label={t('audit.when')}>
        <time dateTime={at}>{formatExact(at)}</time>
      </td>
      <td data-label={t('audit.who')}>
        <PersonName userId={actor.userId} />
        {actor.role === null ? null : <span className="hint">{t(`role.${actor.role}`)}</span>}
      </td>
      <td data-label={t('audit.what')}>
        <Word of="action" name={event.action} />
        <Details details={event.details} />
      </td>
      <td data-label={t('audit.onWhat')}>
        {resource === null ? '–' : <Resource resource={resource} onResource={onResource} />}
      </td>
      <td data-label={t('audit.aboutWhom')}>
        <PersonName userId={event.subjectUserId} />
      </td>
      <td data-label={t('audit.fromWhere')}>
        {actor.address ?? '–'}
        {actor.deviceId === null ? null : (
          <span className="hint">{t('audit.device', { id: shortId(actor.deviceId) })}</span>
        )}
      </td>
      <td data-label={t('audit.outcomeIs')}>
        {t(`audit.outcome.${outcome}`)}
        {count > 1 ? ` × ${count}` : ''}
        {code === null ? null : (
          <span className="hint">
            <code>{code}</code>
          </span>
        )}
      </td>
      <td data-label={t('audit.purpose')}>{t(`purpose.${purpose}`)}</td>
    </tr>
  )
}

type WordKey = Extract<MessageKey, `audit.${'action' | 'type' | 'detail'}.${string}`>

/** A server may record what this page has no words for yet: then its own name stands for it, marked as code. */
function Word({ of, name }: { readonly of: 'action' | 'type' | 'detail'; readonly name: string }) {
  const { t } = useLanguage()
  const key = `audit.${of}.${name}`
  const text = t(key as WordKey)
  return text === key ? <code>{name}</code> : <>{text}</>
}

function Resource({ resource, onResource }: Pick<AuditRowProps, 'onResource'> & ResourceProps) {
  const { t } = useLanguage()
  return (
    <>
      <Word of="type" name={resource.type} />
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
  return Object.entries(details).map(([name, value]) => (
    <span className="hint" key={name}>
      <Word of="detail" name={name} />
      {': '}
      <DetailValue name={name} value={value} />
    </span>
  ))
}

interface DetailValueProps {
  readonly name: string
  readonly value: AuditEvent['details'][string]
}

/** What has words is said in words; everything else is a value of the record and stands as it is. */
function DetailValue({ name, value }: DetailValueProps) {
  const { t } = useLanguage()
  if (typeof value === 'boolean') return value ? t('audit.yes') : t('audit.no')
  if (typeof value === 'number') return value
  if (name === 'action' && typeof value === 'string') return <Word of="action" name={value} />
  if (name.startsWith('role') && isRole(value)) return t(`role.${value}`)
  return <code>{Array.isArray(value) ? value.map(shorten).join(', ') : shorten(value)}</code>
}

function isRole(value: unknown): value is Role {
  return ['administrator', 'compliance-officer', 'clinician', 'patient', 'service'].includes(value as string)
}

function shorten(text: string): string {
  return /^[0-9a-f-]{36}$/.test(text) ? shortId(text) : text
}

/** Ids of one time begin alike: their end tells them apart. */
function shortId(id: string): string {
  return id.length > 12 ? `…${id.slice(-8)}` : id
}
