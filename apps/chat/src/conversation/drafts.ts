import type { Sotto } from '@sotto/sdk'

/** What was begun and not sent, for as long as the page lives. Drafts are PHI: they are kept in memory only. */
const drafts = new WeakMap<Sotto, Map<string, string>>()

export function readDraft(sotto: Sotto, conversationId: string): string {
  return drafts.get(sotto)?.get(conversationId) ?? ''
}

export function writeDraft(sotto: Sotto, conversationId: string, text: string): void {
  const own = drafts.get(sotto) ?? new Map<string, string>()
  drafts.set(sotto, own.set(conversationId, text))
}
