import type { InputOf, Operations } from '@sotto/protocol'
import type { Ctx } from '../../platform/context/context.ts'
import { listPresence, type PresenceDeps } from './list-presence.ts'

/** The operations of this room by their ids, for the edges. */
export function presenceRoutes(deps: PresenceDeps) {
  return { listPresence: (ctx: Ctx, input: InputOf<Operations['listPresence']>) => listPresence(deps, ctx, input) }
}
