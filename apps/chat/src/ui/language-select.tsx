import { useLanguage } from '../i18n/language.tsx'
import { languages, type Language } from '../i18n/translator.ts'

/** Each language by its own name: who needs to change it may not read the present one. */
const names: Readonly<Record<Language, string>> = { en: 'English', es: 'Español' }

export function LanguageSelect() {
  const { t, language, setLanguage } = useLanguage()
  return (
    <label className="field field-inline">
      <span>{t('language.label')}</span>
      <select value={language} onChange={(event) => setLanguage(event.target.value as Language)}>
        {languages.map((each) => (
          <option key={each} value={each} lang={each}>
            {names[each]}
          </option>
        ))}
      </select>
    </label>
  )
}
