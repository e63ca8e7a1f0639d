import { useLive } from '../platform/use-live.ts'
import { useSession } from '../session/session-context.tsx'
import { useLanguage } from '../i18n/language.tsx'

const TONES = 6

/** Initials on a colour that stays the same for the same id. Decoration: the name stands beside it. */
export function Avatar({ id, name }: { readonly id: string; readonly name: string }) {
  return (
    <span className={`avatar tone-${toneOf(id)}`} aria-hidden="true">
      {initialsOf(name)}
    </span>
  )
}

/** A dot for who is there now. Shows nothing when it is not known. */
export function PresenceDot({ userId }: { readonly userId: string }) {
  const { t } = useLanguage()
  const { sotto } = useSession()
  const state = useLive(sotto.presence).get(userId as never)
  if (state === undefined || state === 'offline') return null
  return (
    <span className={`presence presence-${state}`}>
      <span className="visually-hidden">{t(`presence.${state}`)}</span>
    </span>
  )
}

function toneOf(id: string): number {
  let sum = 0
  for (const character of id) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521
  return sum % TONES
}

/** First letters of the first and the last word, titles before the name and after its comma left out. */
function initialsOf(name: string): string {
  const words = (name.split(',')[0] ?? '').split(/\s+/).filter((word) => /^\p{L}/u.test(word) && !word.endsWith('.'))
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => [...(word ?? '')][0] ?? '')
  return letters.join('').toLocaleUpperCase() || '·'
}
