import type { InputOf, Operations } from '@sotto/protocol'
import type { Ctx } from '../../platform/context/context.ts'
import { checkListEntries, listEntries, type ListEntriesDeps } from './list-entries.ts'
import { sendMessage, type SendDeps } from './send-message.ts'

/** The operations of this room by their ids, for the edges. */
export function messagesRoutes(deps: SendDeps & ListEntriesDeps) {
  return {
    sendMessage: (ctx: Ctx, input: InputOf<Operations['sendMessage']>) => sendMessage(deps, ctx, input),
    listEntries: (ctx: Ctx, input: InputOf<Operations['listEntries']>) => {
      checkListEntries(input)
      return listEntries(deps, ctx, input)
    },
  }
}
