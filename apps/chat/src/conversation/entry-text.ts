import type { Entry, Payload } from '@sotto/sdk'
import type { Translate } from '../i18n/translator.ts'

export type NameOf = (userId: string) => string

/** What an entry shows: a message's text, a line about the conversation, or that it cannot be shown. */
export type EntryContent =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'invisible' }
  | { readonly type: 'erased' }
  | { readonly type: 'newer' }
  | { readonly type: 'system'; readonly text: string }

/** Letters, digits, signs, emoji: without any of them there is nothing to see. */
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u

/** Payloads come from other devices, which may be newer than this page or broken: nothing about them is taken for granted. */
export function contentOf(t: Translate, entry: Entry, nameOf: NameOf): EntryContent {
  const payload = entry.payload as Partial<Payload> | null
  if (payload?.v !== 1) return { type: 'newer' }
  if (payload.type === 'text') return textContent((payload as { readonly text?: unknown }).text)
  if (payload.type === 'erased') return { type: 'erased' }
  const text = systemText(t, payload as Payload, nameOf(entry.sender.userId), nameOf)
  return text === null ? { type: 'newer' } : { type: 'system', text }
}

export function textContent(text: unknown): EntryContent {
  if (typeof text !== 'string') return { type: 'newer' }
  return VISIBLE.test(text) ? { type: 'text', text } : { type: 'invisible' }
}

function systemText(t: Translate, payload: Payload, who: string, nameOf: NameOf): string | null {
  if (payload.type === 'conversation') {
    return ['renamed', 'closed', 'reopened'].includes(payload.change) ? t(`system.${payload.change}`, { who }) : null
  }
  if (payload.type !== 'membership' || !Array.isArray(payload.userIds)) return null
  const whom = payload.userIds.map(nameOf).join(', ')
  switch (payload.change) {
    case 'created':
      return t('system.created', { who })
    case 'added':
    case 'removed':
      return t(`system.${payload.change}`, { who, whom })
    case 'left':
      return t('system.left', { who })
    default:
      return null
  }
}

/** The line that stands for an entry in the list of conversations. @param who  names the sender where that is needed */
export function previewOf(t: Translate, entry: Entry, nameOf: NameOf, who: string | null): string {
  const content = contentOf(t, entry, nameOf)
  if (content.type === 'system') return content.text
  const text = content.type === 'text' ? content.text.slice(0, 200) : t(`message.${content.type}`)
  return who === null ? text : t('list.preview', { who, text })
}
