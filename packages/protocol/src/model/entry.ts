import { z } from 'zod'
import {
  conversationIdSchema,
  deviceIdSchema,
  entryIdSchema,
  instantSchema,
  seqOrZeroSchema,
  seqSchema,
  userIdSchema,
} from '../ids.ts'

/**
 * The payload lives inside the body: ciphertext at rest in managed mode, MLS PrivateMessage in e2ee mode. One versioned
 * schema for both. A reader that meets a `type` it does not know shows that there is something newer, and loses nothing.
 */
export const textPayloadSchema = z.strictObject({
  v: z.literal(1),
  type: z.literal('text'),
  text: z
    .string()
    .min(1)
    .refine((text) => text.isWellFormed(), 'well-formed Unicode'),
})

export const membershipPayloadSchema = z.strictObject({
  v: z.literal(1),
  type: z.literal('membership'),
  change: z.enum(['created', 'added', 'removed', 'left']),
  userIds: z.array(userIdSchema),
})

export const conversationPayloadSchema = z.strictObject({
  v: z.literal(1),
  type: z.literal('conversation'),
  change: z.enum(['renamed', 'closed', 'reopened']),
})

/** What stands where an entry was erased: its place, and nothing of its content. */
export const erasedPayloadSchema = z.strictObject({ v: z.literal(1), type: z.literal('erased') })

/** What a client may send. */
export const sendablePayloadSchema = z.discriminatedUnion('type', [textPayloadSchema]).meta({ id: 'SendablePayload' })
export type SendablePayload = z.infer<typeof sendablePayloadSchema>

export const payloadSchema = z
  .discriminatedUnion('type', [
    textPayloadSchema,
    membershipPayloadSchema,
    conversationPayloadSchema,
    erasedPayloadSchema,
  ])
  .meta({ id: 'Payload' })
export type Payload = z.infer<typeof payloadSchema>

export const prioritySchema = z.enum(['routine', 'urgent', 'critical'])

/** What the server must act on without reading the body. Nothing else ever goes here. */
export const sendableHeaderSchema = z.strictObject({
  priority: prioritySchema.default('routine'),
  notify: z.enum(['normal', 'silent']).default('normal'),
})
export const headerSchema = z
  .object({
    counts: z.boolean().meta({ description: 'Whether it raises the unread number' }),
    priority: prioritySchema,
    notify: z.enum(['normal', 'silent']),
  })
  .meta({ id: 'EntryHeader' })
export type EntryHeader = z.infer<typeof headerSchema>

export const entryKindSchema = z.enum(['application', 'handshake', 'membership', 'system'])
export type EntryKind = z.infer<typeof entryKindSchema>

export const entrySchema = z
  .object({
    conversationId: conversationIdSchema,
    seq: seqSchema.meta({ description: 'Position in the log: 1-based, gapless' }),
    countable: seqOrZeroSchema.meta({ description: 'How many entries up to and with this one count as unread' }),
    entryId: entryIdSchema,
    kind: entryKindSchema,
    sender: z.object({ userId: userIdSchema, deviceId: deviceIdSchema }),
    at: instantSchema.meta({ description: "The server's clock decides" }),
    clientSentAt: instantSchema.nullable().meta({ description: "The sender's clock: shown, never trusted" }),
    header: headerSchema,
    payload: payloadSchema,
  })
  .meta({ id: 'Entry' })
export type Entry = z.infer<typeof entrySchema>

/** One message to send; the same schema for HTTP and socket. */
export const sendMessageBodySchema = z.strictObject({
  entryId: entryIdSchema.meta({
    description: 'Made by the client; a repeat with the same content answers the same seq',
  }),
  payload: sendablePayloadSchema,
  header: sendableHeaderSchema.prefault({}),
  clientSentAt: instantSchema.optional(),
})
export const sentSchema = z
  .object({ entryId: entryIdSchema, seq: seqSchema, countable: seqOrZeroSchema, at: instantSchema })
  .meta({ id: 'Sent' })
export type Sent = z.infer<typeof sentSchema>
