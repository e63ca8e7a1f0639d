import { useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'

const FOLDED_CHARACTERS = 1_200
const FOLDED_LINES = 16

/** A message is text and stays text: nothing in it is markup, and its direction is its own. Long ones are folded. */
export function MessageText({ text }: { readonly text: string }) {
  const { t } = useLanguage()
  const [isOpen, setOpen] = useState(false)
  const folded = fold(text)
  return (
    <>
      <p className="bubble-text" dir="auto">
        {isOpen ? text : folded}
      </p>
      {folded === text ? null : (
        <button type="button" className="link-button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          {isOpen ? t('message.showLess') : t('message.showAll')}
        </button>
      )}
    </>
  )
}

/** Cuts between characters as people see them, never inside a surrogate pair. */
function fold(text: string): string {
  const lines = text.split('\n', FOLDED_LINES + 1)
  const short = lines.length > FOLDED_LINES ? lines.slice(0, FOLDED_LINES).join('\n') : text
  if (short.length <= FOLDED_CHARACTERS) return short === text ? text : `${short}…`
  return `${short.slice(0, FOLDED_CHARACTERS).replace(/[\ud800-\udbff]$/, '')}…`
}
