import type { User } from '@sotto/sdk'
import { useId, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { Avatar } from './avatar.tsx'
import { TextField } from './text-field.tsx'

export interface PeoplePickerProps {
  readonly legend: string
  /** Undefined while they are being loaded. */
  readonly users: readonly User[] | undefined
  readonly chosen: readonly string[]
  readonly isSingle: boolean
  readonly onChange: (chosen: readonly string[]) => void
}

/** Chooses one person or several; typing narrows the list. */
export function PeoplePicker({ legend, users, chosen, isSingle, onChange }: PeoplePickerProps) {
  const { t } = useLanguage()
  const name = useId()
  const [filter, setFilter] = useState('')
  const wanted = fold(filter)
  const shown = (users ?? []).filter((user) => fold(user.displayName).includes(wanted) || chosen.includes(user.userId))

  function choose(userId: string, isChosen: boolean): void {
    if (isSingle) onChange([userId])
    else onChange(isChosen ? [...chosen, userId] : chosen.filter((each) => each !== userId))
  }

  return (
    <fieldset className="picker">
      <legend>{legend}</legend>
      <TextField label={t('picker.filter')} type="search" autoComplete="off" value={filter} onValue={setFilter} />
      {users === undefined ? <output>{t('picker.loading')}</output> : null}
      {users !== undefined && shown.length === 0 ? <p>{t('picker.none')}</p> : null}
      <ul className="picker-list">
        {shown.map(({ userId, displayName, role }) => (
          <li key={userId}>
            <label className="choice">
              <input
                type={isSingle ? 'radio' : 'checkbox'}
                name={name}
                checked={chosen.includes(userId)}
                onChange={(event) => choose(userId, event.target.checked)}
              />
              <Avatar id={userId} name={displayName} />
              <span className="person-name">
                <bdi className="clip">{displayName}</bdi>
                <span className="hint">{t(`role.${role}`)}</span>
              </span>
            </label>
          </li>
        ))}
      </ul>
    </fieldset>
  )
}

/** Compares names without case and accents. */
function fold(text: string): string {
  return text.normalize('NFD').replaceAll(/\p{M}/gu, '').toLocaleLowerCase()
}
