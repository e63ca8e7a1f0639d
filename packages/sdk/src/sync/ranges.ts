import type { ConversationId, ProblemDocument } from '@sotto/protocol'
import { limitTable } from '../contract.generated.ts'
import { backoffMs, retryBackoff } from './backoff.ts'
import {
  changeConversation,
  clearDeadline,
  putConversation,
  setDeadline,
  setDeadlineNoLater,
  type Draft,
} from './draft.ts'
import { hasGap, hasOlder, windowStart } from './log.ts'
import type { RangePurpose } from './state.ts'

/** The entry of an acknowledged message comes by itself within this time, unless its frame was lost. */
const ECHO_MS = 1_000
/** A first page that is this long fills a screen. */
const FIRST_PAGE = 30

/**
 * Plans to ask for what is missing, if something is.
 *
 * @param urgency  `now`: the log is known to go on; `echo`: only an own message is missing, and its frame is on the way
 */
export function planRepair(draft: Draft, id: ConversationId, urgency: 'now' | 'echo'): void {
  const conversation = draft.state.conversations.get(id)
  const key = `repair:${id}`
  if (conversation === undefined) return
  if (!hasGap(conversation)) {
    clearDeadline(draft, key)
    if (conversation.repairFailures > 0) putConversation(draft, { ...conversation, repairFailures: 0 })
    return
  }
  if (conversation.repairing || conversation.repairFailures > 0) return
  const echoOnly = urgency === 'echo' || draft.state.deadlines.has(key)
  if (echoOnly && conversation.ahead.length === 0) setDeadlineNoLater(draft, key, draft.env.now + ECHO_MS)
  else repair(draft, id)
}

/** Somebody's cursor, or an unread number, speaks of an entry: it exists, also if its own frame was lost. */
export function noteExists(draft: Draft, id: ConversationId, seq: number): void {
  const known = draft.state.conversations.get(id)
  if (known === undefined || known.removed || seq <= known.knownLast) return
  putConversation(draft, { ...known, knownLast: seq })
  planRepair(draft, id, 'echo')
}

/** Asks for the entries after the window; before the sync of a new connection it is not known of which log they would be. */
export function repair(draft: Draft, id: ConversationId): void {
  const conversation = draft.state.conversations.get(id)
  clearDeadline(draft, `repair:${id}`)
  if (conversation === undefined || !hasGap(conversation) || conversation.repairing) return
  if (draft.state.link.phase !== 'live') return
  putConversation(draft, { ...conversation, repairing: true })
  const { heldTo, logNumber } = conversation
  const range = { afterSeq: heldTo, limit: limitTable.pageSizeMax }
  draft.effects.push({ type: 'list-entries', id, purpose: 'repair', logNumber, ...range })
}

/** Asks for the page before the window, unless it begins with the oldest entry that the user may see. */
export function loadOlder(draft: Draft, id: ConversationId): void {
  const conversation = draft.state.conversations.get(id)
  if (conversation === undefined || conversation.loadingOlder || conversation.removed || !hasOlder(conversation)) return
  putConversation(draft, { ...conversation, loadingOlder: true, olderProblem: null })
  const { logNumber } = conversation
  const range = { beforeSeq: windowStart(conversation), limit: limitTable.pageSizeDefault }
  draft.effects.push({ type: 'list-entries', id, purpose: 'older', logNumber, ...range })
}

export function loadFirstPage(draft: Draft, id: ConversationId): void {
  const conversation = draft.state.conversations.get(id)
  if (conversation !== undefined && conversation.entries.length < FIRST_PAGE) loadOlder(draft, id)
}

/** A range could not be got. A gap is asked for again, ever more patiently; older entries when the user asks again. */
export function onRangeFailed(draft: Draft, id: ConversationId, purpose: RangePurpose, problem: ProblemDocument): void {
  if (purpose === 'older') {
    changeConversation(draft, id, (known) => ({ ...known, loadingOlder: false, olderProblem: problem }))
    return
  }
  changeConversation(draft, id, (known) => {
    // Frames have filled the gap meanwhile.
    if (!hasGap(known)) return { ...known, repairing: false, repairFailures: 0 }
    const repairFailures = known.repairFailures + 1
    const delayMs = backoffMs(retryBackoff, repairFailures, draft.env.random(), problem.retryAfterMs)
    setDeadline(draft, `repair:${id}`, draft.env.now + delayMs)
    return { ...known, repairing: false, repairFailures }
  })
}
