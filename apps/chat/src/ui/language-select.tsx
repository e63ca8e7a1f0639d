import { useLanguage } from '../i18n/language.tsx'
import { languages, type Language } from '../i18n/translator.ts'
import { SelectField } from './select-field.tsx'

/** Each language by its own name: who needs to change it may not read the present one. */
const names: Readonly<Record<Language, string>> = { en: 'English', es: 'Español' }
const choices = languages.map((language) => ({ value: language, label: names[language], lang: language }))

export function LanguageSelect() {
  const { t, language, setLanguage } = useLanguage()
  return (
    <SelectField
      label={t('language.label')}
      value={language}
      choices={choices}
      onValue={(value) => setLanguage(value as Language)}
      isInline
    />
  )
}
