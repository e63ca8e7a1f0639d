import type { Capability, Conversation, ConversationSummary } from '@sotto/sdk'
import { useEffect, useRef, useState, type SubmitEvent, type KeyboardEvent } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { useConversationName } from '../session/names.ts'
import { problemText } from '../session/problem-text.ts'
import { useSession } from '../session/session-context.tsx'
import { SendIcon } from '../ui/icons.tsx'
import { ErrorNotice } from '../ui/notice.tsx'
import { readDraft, writeDraft } from './drafts.ts'

export interface ComposerProps {
  readonly conversation: Conversation
  readonly summary: ConversationSummary
  readonly can: readonly Capability[]
}

export const COMPOSER_ID = 'composer'

/** Where a message is written, or why none can be. */
export function Composer({ conversation, summary, can }: ComposerProps) {
  const { t } = useLanguage()
  if (can.includes('message.send')) return <ComposerForm conversation={conversation} summary={summary} />
  return <p className="composer-closed">{summary.closed ? t('composer.closed') : t('composer.readOnly')}</p>
}

function ComposerForm({ conversation, summary }: Omit<ComposerProps, 'can'>) {
  const { t } = useLanguage()
  const { sotto } = useSession()
  const name = useConversationName(summary)
  const [text, setText] = useState(() => readDraft(sotto, conversation.conversationId))
  const [error, setError] = useState<unknown>(null)
  const input = useRef<HTMLTextAreaElement>(null)
  useEffect(() => () => conversation.setTyping(false), [conversation])

  function change(next: string): void {
    setText(next)
    writeDraft(sotto, conversation.conversationId, next)
    conversation.setTyping(next.trim() !== '')
  }

  /** The message is on the device's disk before it may be forgotten here: what cannot be stored comes back. */
  async function send(): Promise<void> {
    const message = text.trim()
    if (message === '') return
    change('')
    setError(null)
    input.current?.focus()
    try {
      const { acknowledged } = await conversation.send(message)
      // The timeline shows what becomes of it.
      acknowledged.catch(() => {})
    } catch (problem) {
      setError(problem)
      // Into the draft as well: the user may have gone elsewhere meanwhile, or have begun the next one.
      const draft = [message, readDraft(sotto, conversation.conversationId)].filter(Boolean).join('\n')
      writeDraft(sotto, conversation.conversationId, draft)
      setText(draft)
    }
  }

  function submit(event: SubmitEvent): void {
    event.preventDefault()
    void send()
  }

  function onKeyDown(event: KeyboardEvent): void {
    // Enter also ends the choice of a character (IME); on a touch keyboard it begins a line.
    const isPlainEnter = event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing
    if (!isPlainEnter || matchMedia('(pointer: coarse)').matches) return
    event.preventDefault()
    void send()
  }

  return (
    <form className="composer" onSubmit={submit}>
      <ErrorNotice text={error === null ? null : problemText(t, error)} />
      <div className="composer-row">
        <textarea
          ref={input}
          id={COMPOSER_ID}
          rows={1}
          dir="auto"
          className="composer-input"
          aria-label={t('composer.label', { name })}
          placeholder={t('composer.placeholder')}
          value={text}
          onChange={(event) => change(event.target.value)}
          onKeyDown={onKeyDown}
          onBlur={() => conversation.setTyping(false)}
        />
        <button className="button button-primary button-icon" disabled={text.trim() === ''}>
          <SendIcon />
          <span className="visually-hidden">{t('composer.send')}</span>
        </button>
      </div>
    </form>
  )
}
