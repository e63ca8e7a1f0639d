import type { User } from '@sotto/sdk'
import { useState, type SubmitEvent } from 'react'
import { useLanguage } from '../i18n/language.tsx'
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
        <Choice label={t('audit.actor')} value={wanted.actorUserId} onChange={(actorUserId) => set({ actorUserId })}>
          {users.map(({ userId, displayName }) => [userId, displayName])}
        </Choice>
        <Choice
          label={t('audit.subject')}
          value={wanted.subjectUserId}
          onChange={(subjectUserId) => set({ subjectUserId })}
        >
          {users.filter(({ role }) => role === 'patient').map(({ userId, displayName }) => [userId, displayName])}
        </Choice>
        <Choice label={t('audit.action')} value={wanted.action} onChange={(action) => set({ action })}>
          {auditActions.map((action) => [action, t(`audit.action.${action}`)])}
        </Choice>
        <Choice label={t('audit.outcome')} value={wanted.outcome} onChange={(outcome) => set({ outcome })}>
          {auditOutcomes.map((outcome) => [outcome, t(`audit.outcome.${outcome}`)])}
        </Choice>
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

interface ChoiceProps {
  readonly label: string
  readonly value: string
  readonly onChange: (value: string) => void
  readonly children: readonly (readonly [value: string, label: string])[]
}

function Choice({ label, value, onChange, children }: ChoiceProps) {
  const { t } = useLanguage()
  return (
    <label className="field">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.target.value)}>
        <option value="">{t('audit.any')}</option>
        {children.map(([each, name]) => (
          <option key={each} value={each}>
            {name}
          </option>
        ))}
      </select>
    </label>
  )
}
