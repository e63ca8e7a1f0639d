import { z } from 'zod'
import { conversationIdSchema, userIdSchema } from '../ids.ts'
import { limitSpecs } from '../limits.ts'
import type { AuditAction } from '../model/audit-event.ts'
import { movedCursorSchema, moveCursorBodySchema, presenceSchema, syncSchema } from '../model/conversation.ts'
import { sendMessageBodySchema, sentSchema } from '../model/entry.ts'
import type { Unaudited } from '../http/operation.ts'
import type { ProblemCode } from '../problems/catalogue.ts'

/** One socket command as a plain object; `op` is its name, each answers one `reply` or one `error` with the same `id`. */
export interface Command {
  readonly op: string
  readonly summary: string
  readonly body: z.ZodType
  readonly reply: z.ZodType
  readonly audit: AuditAction | Unaudited
  readonly activity: boolean
  readonly problems: readonly ProblemCode[]
}

function command<const C extends Command>(definition: C): C {
  return definition
}

/** Chosen by the client to find its answer: any safe integer that is not waiting for one. */
export const commandIdSchema = z.int().min(0).max(Number.MAX_SAFE_INTEGER)
const nothing = z.object({})

export const socketCommands = {
  'message.send': command({
    op: 'message.send',
    summary: 'Append one message; answered after it is durable',
    body: sendMessageBodySchema.extend({ conversationId: conversationIdSchema }),
    reply: sentSchema,
    audit: 'message.send',
    activity: true,
    problems: [
      'access/denied',
      'access/not-found',
      'messages/too-large',
      'messages/entry-conflict',
      'conversations/closed',
    ],
  }),
  'cursor.move': command({
    op: 'cursor.move',
    summary: "Move the caller's cursor forward",
    body: z
      .strictObject({ conversationId: conversationIdSchema, ...moveCursorBodySchema.shape })
      .refine(
        (body) => body.deliveredSeq !== undefined || body.readSeq !== undefined,
        'one of deliveredSeq and readSeq',
      ),
    reply: movedCursorSchema,
    audit: 'cursor.move',
    activity: false,
    problems: ['access/not-found', 'conversations/cursor-ahead'],
  }),
  'typing.signal': command({
    op: 'typing.signal',
    summary: 'Tell the other members that the caller is typing, or has stopped',
    body: z.strictObject({ conversationId: conversationIdSchema, typing: z.boolean() }),
    reply: nothing,
    audit: 'typing.signal',
    activity: true,
    problems: ['access/not-found', 'conversations/closed'],
  }),
  'presence.set': command({
    op: 'presence.set',
    summary: 'Say whether the person is there or away from this device',
    body: z.strictObject({ state: z.enum(['online', 'away']) }),
    reply: nothing,
    audit: 'presence.set',
    activity: false,
    problems: [],
  }),
  'presence.watch': command({
    op: 'presence.watch',
    summary: 'Watch the presence of these users instead of those watched before',
    body: z.strictObject({ userIds: z.array(userIdSchema).max(limitSpecs.presenceWatchMax.value) }),
    reply: z.object({ items: z.array(presenceSchema) }),
    audit: 'presence.watch',
    activity: false,
    problems: [],
  }),
  'conversation.sync': command({
    op: 'conversation.sync',
    summary: 'Subscribe: what changed since the token, and from now on everything live',
    body: z.strictObject({
      token: z.string().max(500).optional(),
      limit: z.int().min(1).max(limitSpecs.pageSizeMax.value).default(limitSpecs.pageSizeMax.value),
    }),
    reply: syncSchema,
    audit: 'conversation.sync',
    activity: false,
    problems: ['conversations/sync-expired'],
  }),
  ping: command({
    op: 'ping',
    summary: 'Ask for a sign of life',
    body: z.strictObject({}),
    reply: z.object({ at: z.string() }),
    audit: { unaudited: 'a sign of life: it touches no record and no person' },
    activity: false,
    problems: [],
  }),
} as const satisfies Record<string, Command>

export type SocketCommands = typeof socketCommands
export type CommandOp = keyof SocketCommands
/** What the server's handler receives. */
export type CommandInput<Op extends CommandOp> = z.output<SocketCommands[Op]['body']>
/** What a client writes. */
export type CommandRequest<Op extends CommandOp> = z.input<SocketCommands[Op]['body']>
export type CommandReply<Op extends CommandOp> = z.output<SocketCommands[Op]['reply']>
