import type { ConversationSummary, Member } from '@sotto/sdk'
import { useEffect } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import type { Translator } from '../i18n/translator.ts'
import { useLive } from '../platform/use-live.ts'
import { useSession } from './session-context.tsx'
import { useConnection } from './use-connection.ts'

const NAMES_SHOWN = 3

/** The title, or else the others' names; those of a group are asked for when they are not known yet. */
export function useConversationName(summary: ConversationSummary): string {
  const language = useLanguage()
  const { session } = useSession()
  return conversationName(language, summary, useMembers(summary), session.userId)
}

/** Who is in a group, without keeping its log: undefined until it is known. Whom a direct one is with stands in its summary. */
export function useMembers(summary: ConversationSummary): readonly Member[] | undefined {
  const { people } = useSession()
  const { conversationId, kind, memberCount } = summary
  const isOnline = useConnection().status === 'online'
  useEffect(() => {
    if (isOnline && kind === 'group') people.wantMembers(conversationId, memberCount)
  }, [people, conversationId, kind, memberCount, isOnline])
  return useLive(people).members.get(conversationId)
}

export function conversationName(
  { t, formatList }: Pick<Translator, 't' | 'formatList'>,
  { title, counterpart }: Pick<ConversationSummary, 'title' | 'counterpart'>,
  members: readonly Member[] | undefined,
  me: string,
): string {
  if (title !== null) return title
  if (counterpart !== null) return counterpart.displayName
  if (members === undefined) return t('conversation.unnamed')
  const others = members.filter(({ userId }) => userId !== me).map(({ displayName }) => displayName)
  if (others.length === 0) return t('conversation.onlyYou')
  if (others.length <= NAMES_SHOWN) return formatList(others)
  const shown = others.slice(0, NAMES_SHOWN - 1)
  return formatList([...shown, t('conversation.moreNames', { count: others.length - shown.length })])
}

/** A way to name a user: "You", a name, or that it is not known. */
export function useNameOf(): (userId: string) => string {
  const { t } = useLanguage()
  const { session, people } = useSession()
  const { byId } = useLive(people)
  return (userId) =>
    userId === session.userId ? t('person.you') : (byId.get(userId)?.displayName ?? t('person.unknown'))
}
