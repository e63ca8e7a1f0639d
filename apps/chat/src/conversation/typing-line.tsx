import { useLanguage } from '../i18n/language.tsx'
import { useNameOf } from '../session/names.ts'

/** Who is writing. Seen, and not announced: a screen reader would speak all the time. */
export function TypingLine({ userIds }: { readonly userIds: readonly string[] }) {
  const { t } = useLanguage()
  const nameOf = useNameOf()
  const [first, ...others] = userIds
  return (
    <p className="typing-line clip">
      {first === undefined ? null : others.length === 0 ? (
        <span>{t('typing.one', { name: nameOf(first) })}</span>
      ) : (
        <span>{t('typing.many', { count: userIds.length })}</span>
      )}
    </p>
  )
}
