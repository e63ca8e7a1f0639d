import type { CommandInput } from '@sotto/protocol'
import type { Bus } from '../../platform/bus/bus.ts'
import type { Ctx } from '../../platform/context/context.ts'
import type { KeptDecisions } from '../access/index.ts'
import { typingSignalled } from './presence.ts'

/**
 * Tells the other members that the caller types. It reads nothing and writes nothing, and comes many times a minute; so
 * each signal is counted by its socket, whose `socket.close` record says how many there were in which conversation.
 *
 * @throws access/not-found 404 · conversations/closed 409
 */
export async function signalTyping(
  deps: { readonly kept: KeptDecisions; readonly bus: Bus },
  ctx: Ctx,
  input: CommandInput<'typing.signal'>,
): Promise<void> {
  await deps.kept.authorizeConversation(ctx, 'typing.signal', input.conversationId)
  const { conversationId, typing } = input
  deps.bus.publish(typingSignalled, { tenantId: ctx.tenantId, conversationId, userId: ctx.userId, typing })
}
