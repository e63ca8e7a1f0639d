import { en } from '../messages/en.ts'
import { es } from '../messages/es.ts'
import type { Message, MessageArguments, Translation } from '../messages/message-types.ts'

export type MessageKey = keyof typeof en
export type Translate = <Key extends MessageKey>(key: Key, ...values: MessageArguments<(typeof en)[Key]>) => string

export const languages = ['en', 'es'] as const
export type Language = (typeof languages)[number]

const catalogues: Readonly<Record<Language, Translation<typeof en>>> = { en, es }

export interface Translator {
  readonly language: Language
  readonly t: Translate
  /** Instants are RFC 3339 texts; they are shown in the time zone of the device. */
  formatTime(instant: string): string
  formatDate(instant: string): string
  formatDateTime(instant: string): string
  /** To the second, for records. */
  formatExact(instant: string): string
  /** "Today", "Yesterday", or the date. */
  formatDay(instant: string, now: number): string
  formatList(items: readonly string[]): string
}

/** Texts from elsewhere keep their direction to themselves (Unicode UAX #9 §2.7): FIRST STRONG ISOLATE … POP. */
function isolate(value: string | number): string {
  return typeof value === 'number' ? String(value) : `\u2068${value}\u2069`
}

export function createTranslator(language: Language): Translator {
  const catalogue: Readonly<Record<string, Message>> = catalogues[language]
  const plurals = new Intl.PluralRules(language)
  const numbers = new Intl.NumberFormat(language)
  const time = new Intl.DateTimeFormat(language, { hour: 'numeric', minute: '2-digit' })
  const date = new Intl.DateTimeFormat(language, { dateStyle: 'medium' })
  const dateTime = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' })
  const exact = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' })
  const weekday = new Intl.DateTimeFormat(language, { weekday: 'long', day: 'numeric', month: 'long' })
  const list = new Intl.ListFormat(language, { type: 'conjunction' })

  const t = (key: string, values: Readonly<Record<string, string | number>> = {}): string => {
    const message = catalogue[key] ?? key
    const text = typeof message === 'string' ? message : choose(message, plurals.select(Number(values['count'])))
    return text.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
      const value = values[name] ?? ''
      return typeof value === 'number' ? numbers.format(value) : isolate(value)
    })
  }

  return {
    language,
    t: t as Translate,
    formatTime: (instant) => time.format(new Date(instant)),
    formatDate: (instant) => date.format(new Date(instant)),
    formatDateTime: (instant) => dateTime.format(new Date(instant)),
    formatExact: (instant) => exact.format(new Date(instant)),
    formatDay(instant, now) {
      const days = daysBetween(new Date(instant), new Date(now))
      if (days === 0) return catalogue['day.today'] as string
      if (days === 1) return catalogue['day.yesterday'] as string
      const text = days > 1 && days < 300 ? weekday.format(new Date(instant)) : date.format(new Date(instant))
      return text.charAt(0).toLocaleUpperCase(language) + text.slice(1)
    },
    formatList: (items) => list.format(items),
  }
}

function choose(message: Exclude<Message, string>, category: Intl.LDMLPluralRule): string {
  if (category === 'one') return message.one
  return category === 'many' ? (message.many ?? message.other) : message.other
}

/** Whole calendar days of the device's zone; days with a clock change have 23 or 25 hours. */
export function daysBetween(earlier: Date, later: Date): number {
  const midnight = (day: Date): number => Date.UTC(day.getFullYear(), day.getMonth(), day.getDate())
  return Math.round((midnight(later) - midnight(earlier)) / 86_400_000)
}
