import type { User } from '@sotto/sdk'
import { useState, type SubmitEvent } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { SelectField, type Choice } from '../ui/select-field.tsx'
import { TextField } from '../ui/text-field.tsx'
import { auditActions, auditOutcomes } from './audit-words.ts'
import { anyEvent, type AuditFilter } from './audit-filter.ts'

export interface AuditFormProps {
  readonly filter: AuditFilter
  readonly users: readonly User[]
  readonly onSearch: (filter: AuditFilter) => void
}

export function AuditForm({ filter, users, onSearch }: AuditFormProps) {
  const { t } = useLanguage()
  const [wanted, setWanted] = useState(filter)
  const any = { value: '', label: t('audit.any') }
  const set = (part: Partial<AuditFilter>): void => setWanted({ ...wanted, ...part })

  function submit(event: SubmitEvent): void {
    event.preventDefault()
    onSearch(wanted)
  }

  function clear(): void {
    setWanted(anyEvent)
    onSearch(anyEvent)
  }

  return (
    <search>
      <form className="audit-form" onSubmit={submit}>
        <SelectField
          label={t('audit.actor')}
          value={wanted.actorUserId}
          choices={[any, ...users.map(personChoice)]}
          onValue={(actorUserId) => set({ actorUserId })}
        />
        <SelectField
          label={t('audit.subject')}
          value={wanted.subjectUserId}
          choices={[any, ...users.filter(({ role }) => role === 'patient').map(personChoice)]}
          onValue={(subjectUserId) => set({ subjectUserId })}
        />
        <SelectField
          label={t('audit.action')}
          value={wanted.action}
          choices={[any, ...auditActions.map((value) => ({ value, label: t(`audit.action.${value}`) }))]}
          onValue={(action) => set({ action })}
        />
        <SelectField
          label={t('audit.outcome')}
          value={wanted.outcome}
          choices={[any, ...auditOutcomes.map((value) => ({ value, label: t(`audit.outcome.${value}`) }))]}
          onValue={(outcome) => set({ outcome })}
        />
        <TextField label={t('audit.from')} type="date" value={wanted.fromOn} onValue={(fromOn) => set({ fromOn })} />
        <TextField label={t('audit.to')} type="date" value={wanted.toOn} onValue={(toOn) => set({ toOn })} />
        <TextField
          label={t('audit.resource')}
          spellCheck={false}
          autoComplete="off"
          value={wanted.resourceId}
          onValue={(resourceId) => set({ resourceId: resourceId.trim() })}
        />
        <div className="buttons">
          <button className="button button-primary">{t('audit.search')}</button>
          <button type="button" className="button" onClick={clear}>
            {t('audit.clear')}
          </button>
        </div>
      </form>
    </search>
  )
}

function personChoice({ userId, displayName }: User): Choice {
  return { value: userId, label: displayName }
}
