import type { CommandInput, MovedCursor, Presence, Sent, Sync, UserId } from '@sotto/protocol'
import type { Ctx } from '../../platform/context/context.ts'
import { toRfc3339, type Clock } from '../../platform/time/clock.ts'
import type { CommandHandlers, Connection } from './connection.ts'
import type { Registry } from './registry.ts'

/** The operations behind the socket commands: the same functions that HTTP calls. */
export interface CommandOperations {
  sendMessage(ctx: Ctx, input: CommandInput<'message.send'>): Promise<Sent>
  moveCursor(ctx: Ctx, input: CommandInput<'cursor.move'>): Promise<MovedCursor>
  signalTyping(ctx: Ctx, input: CommandInput<'typing.signal'>): Promise<void>
  setPresence(ctx: Ctx, socketId: string, input: CommandInput<'presence.set'>): Promise<void>
  /** `watch` is called between the record of the act and the reading. */
  watchPresence(
    ctx: Ctx,
    input: CommandInput<'presence.watch'>,
    watch: (userIds: readonly UserId[]) => void,
  ): Promise<{ items: Presence[] }>
  syncConversations(ctx: Ctx, input: CommandInput<'conversation.sync'>): Promise<Sync>
  /** @throws identity/session-ended */
  checkSession(ctx: Ctx): Promise<void>
}

export function createCommands(deps: {
  readonly operations: CommandOperations
  readonly registry: Registry
  readonly clock: Clock
}): CommandHandlers {
  const { operations } = deps
  return {
    'message.send': (_connection, ctx, input: CommandInput<'message.send'>) => operations.sendMessage(ctx, input),
    'cursor.move': (_connection, ctx, input: CommandInput<'cursor.move'>) => operations.moveCursor(ctx, input),
    'typing.signal': async (connection, ctx, input: CommandInput<'typing.signal'>) => {
      await operations.signalTyping(ctx, input)
      const { typingSignals } = connection
      typingSignals.set(input.conversationId, (typingSignals.get(input.conversationId) ?? 0) + 1)
      return {}
    },
    'presence.set': async (connection, ctx, input: CommandInput<'presence.set'>) => {
      await operations.setPresence(ctx, connection.id, input)
      return {}
    },
    'presence.watch': (connection, ctx, input: CommandInput<'presence.watch'>) =>
      operations.watchPresence(ctx, input, (userIds) => deps.registry.watch(connection, userIds)),
    'conversation.sync': (connection, ctx, input: CommandInput<'conversation.sync'>) =>
      sync(deps, connection, ctx, input),
    ping: async (_connection, ctx) => {
      await operations.checkSession(ctx)
      return { at: toRfc3339(deps.clock.now()) }
    },
  }
}

/** Live first, then read: what commits in between arrives twice, which a client sees by its seq, and is never missing. */
async function sync(
  { operations }: { readonly operations: CommandOperations },
  connection: Connection,
  ctx: Ctx,
  input: CommandInput<'conversation.sync'>,
): Promise<Sync> {
  connection.goLive()
  return operations.syncConversations(ctx, input)
}
