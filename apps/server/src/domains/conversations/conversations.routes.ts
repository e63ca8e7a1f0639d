import type { Ctx } from '../../platform/context/context.ts'
import type { KeptDecisions } from '../access/index.ts'
import { addMember } from './add-member.ts'
import type { ConversationDeps } from './conversations.deps.ts'
import { createConversation } from './create-conversation.ts'
import { getConversation } from './get-conversation.ts'
import { listConversations } from './list-conversations.ts'
import { listCursors } from './list-cursors.ts'
import { listMembers } from './list-members.ts'
import { moveCursor, type CursorMover } from './move-cursor.ts'
import { removeMember } from './remove-member.ts'
import { syncConversations } from './sync-conversations.ts'
import { updateConversation } from './update-conversation.ts'

export type RouteDeps = ConversationDeps & { readonly kept: KeptDecisions; readonly cursorMover: CursorMover }

type Operation<I, O> = (deps: RouteDeps, ctx: Ctx, input: I) => Promise<O>

/** The operations of this room by their ids, for the edges. */
export function conversationsRoutes(deps: RouteDeps) {
  const bind =
    <I, O>(operation: Operation<I, O>) =>
    (ctx: Ctx, input: I) =>
      operation(deps, ctx, input)
  return {
    createConversation: bind(createConversation),
    listConversations: bind(listConversations),
    getConversation: bind(getConversation),
    updateConversation: bind(updateConversation),
    listMembers: bind(listMembers),
    addMember: bind(addMember),
    removeMember: bind(removeMember),
    listCursors: bind(listCursors),
    moveCursor: bind(moveCursor),
    syncConversations: bind(syncConversations),
  }
}
