import type { CommandInput } from '@sotto/protocol'
import type { Bus } from '../../platform/bus/bus.ts'
import type { Ctx } from '../../platform/context/context.ts'
import type { KeptDecisions } from '../access/index.ts'
import { typingSignalled } from './presence.ts'

/**
 * Tells the other members that the caller types. It shows nothing and writes nothing, and comes many times a minute; so
 * session and membership are read once a second at most, and each signal is counted by its socket, whose `socket.close` record says how many there were in which conversation.
 *
 * @throws identity/session-ended 401 · access/not-found 404 · conversations/closed 409
 */
export async function signalTyping(
  deps: { readonly kept: KeptDecisions; readonly bus: Bus },
  ctx: Ctx,
  input: CommandInput<'typing.signal'>,
): Promise<void> {
  await deps.kept.checkConversation(ctx, 'typing.signal', input.conversationId)
  const { conversationId, typing } = input
  deps.bus.publish(typingSignalled, { tenantId: ctx.tenantId, conversationId, userId: ctx.userId, typing })
}
