import { createContext, use, useEffect, useMemo, useState, type ReactNode } from 'react'
import { readSetting, writeSetting } from '../platform/settings.ts'
import { createTranslator, languages, type Language, type Translator } from './translator.ts'

interface LanguageContextValue extends Translator {
  setLanguage(language: Language): void
}

const LanguageContext = createContext<LanguageContextValue | null>(null)

export function LanguageProvider({ children }: { readonly children: ReactNode }) {
  const [language, setLanguage] = useState(chooseLanguage)
  const value = useMemo(
    () => ({
      ...createTranslator(language),
      setLanguage(next: Language) {
        writeSetting('language', next)
        setLanguage(next)
      },
    }),
    [language],
  )
  useEffect(() => {
    document.documentElement.lang = language
  }, [language])
  return <LanguageContext value={value}>{children}</LanguageContext>
}

/** The texts and formats of the language that the user reads. */
export function useLanguage(): LanguageContextValue {
  const value = use(LanguageContext)
  if (value === null) throw new Error('LanguageProvider is missing')
  return value
}

/** What the user chose on this device, or else the first of the browser's languages that there is a catalogue for. */
function chooseLanguage(): Language {
  const wanted = [readSetting('language'), ...navigator.languages].map((tag) => tag?.slice(0, 2).toLowerCase())
  return wanted.map((tag) => languages.find((language) => language === tag)).find(Boolean) ?? 'en'
}
