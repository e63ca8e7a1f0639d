import type { CommandInput, Sync } from '@sotto/protocol'
import { z } from 'zod'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import type { Tx } from '../../platform/db/tx.ts'
import { problem } from '../../platform/problem/problem.ts'
import type { ConversationDeps } from './conversations.deps.ts'
import { getHorizon, listChangedSummaries, type SummaryRow } from './conversation-store.ts'
import { recordsOf, renderAll } from './list-conversations.ts'

/**
 * A sync token: changes at or after transaction `since` of deployment `deployment` have not been seen. While pages are
 * left, `until` keeps where the next sync begins and `after` where the next page does.
 */
const tokenSchema = z.strictObject({
  deployment: z.uuid(),
  since: z.int().min(0),
  until: z.int().min(0).optional(),
  after: z.tuple([z.int().min(0), z.uuid()]).optional(),
})
type Token = z.infer<typeof tokenSchema>

/** One page is one frame on a socket: what a slow line takes in a few seconds, and what any queue has room for. */
const PAGE_BYTES_MAX = 262_144
/** A conversation without its last entry, roughly. */
const SUMMARY_BYTES = 1_000

const FIRST: readonly [number, string] = [0, '00000000-0000-0000-0000-000000000000']

/**
 * What changed since the token, oldest change first. A transaction that was running when the token was made is looked at
 * again, so something may be told twice and nothing is ever missed. A page has as many as were asked for, or as few as are
 * together as large as a frame may be.
 *
 * @throws conversations/sync-expired 410: the token is from another deployment, or from a database that went back in time
 * @effects audit `conversation.sync`, one for each conversation shown and patient, or one when nothing changed
 */
export async function syncConversations(
  deps: ConversationDeps,
  ctx: Ctx,
  input: CommandInput<'conversation.sync'>,
): Promise<Sync> {
  const given = input.token === undefined ? undefined : parseToken(input.token)
  return deps.db.withTx(scopeOf(ctx), async (tx) => {
    const [grant, now] = await Promise.all([deps.access.authorize(tx, ctx, 'conversation.sync'), getHorizon(tx)])
    const token = given ?? { deployment: now.deploymentId, since: 0 }
    if (token.deployment !== now.deploymentId || token.since > now.horizon) throw problem('conversations/sync-expired')
    const [afterStamp, afterId] = token.after ?? FIRST
    const rows = await listChangedSummaries(tx, grant, {
      since: token.since,
      afterStamp,
      afterId,
      limit: input.limit + 1,
    })
    const page = fitting(rows.slice(0, input.limit))
    return renderPage(deps, tx, ctx, page, nextToken(token, page, rows.length > page.length, now.horizon))
  })
}

/** The first ones whose last entries together fit a page, and always one. */
function fitting(rows: readonly SummaryRow[]): readonly SummaryRow[] {
  let bytes = 0
  const count = rows.findIndex((row) => {
    bytes += SUMMARY_BYTES + (row.body_ciphertext?.length ?? 0)
    return bytes > PAGE_BYTES_MAX
  })
  return count === -1 ? rows : rows.slice(0, Math.max(1, count))
}

async function renderPage(
  deps: ConversationDeps,
  tx: Tx,
  ctx: Ctx,
  page: readonly SummaryRow[],
  next: Token,
): Promise<Sync> {
  const present = page.filter((row) => row.left_seq === null)
  const changed = await renderAll(deps, tx, ctx, present)
  await deps.recordAudit(tx, ctx, recordsOf('conversation.sync', changed))
  const removed = page.filter((row) => row.left_seq !== null).map((row) => row.conversation_id)
  return {
    changed,
    removed,
    token: Buffer.from(JSON.stringify(next)).toString('base64url'),
    more: next.after !== undefined,
  }
}

function nextToken(token: Token, page: readonly SummaryRow[], hasMore: boolean, horizon: number): Token {
  const until = token.until ?? horizon
  const last = page.at(-1)
  if (!hasMore || last === undefined) return { deployment: token.deployment, since: until }
  return { deployment: token.deployment, since: token.since, until, after: [last.stamp, last.conversation_id] }
}

function parseToken(text: string): Token {
  try {
    return tokenSchema.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')))
  } catch {
    throw problem('platform/invalid-input', { errors: [{ pointer: '/token', message: 'not a token of a sync' }] })
  }
}
