import { useId } from 'react'

export interface Choice {
  readonly value: string
  readonly label: string
  /** The language of the label, where it is not the page's. */
  readonly lang?: string
}

export interface SelectFieldProps {
  readonly label: string
  readonly value: string
  readonly choices: readonly Choice[]
  readonly onValue: (value: string) => void
  readonly isInline?: boolean
}

/** A labelled choice of one. */
export function SelectField({ label, value, choices, onValue, isInline = false }: SelectFieldProps) {
  const id = useId()
  return (
    <div className={isInline ? 'field field-inline' : 'field'}>
      <label htmlFor={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onValue(event.target.value)}>
        {choices.map((choice) => (
          <option key={choice.value} value={choice.value} lang={choice.lang}>
            {choice.label}
          </option>
        ))}
      </select>
    </div>
  )
}
