import { z } from 'zod'
import { conversationIdSchema, instantSchema, seqOrZeroSchema, userIdSchema } from '../ids.ts'
import { limitSpecs } from '../limits.ts'
import { entrySchema } from './entry.ts'
import { roleSchema, titleSchema } from './user.ts'

/** What the caller may do in a conversation, computed by the server, so that a user interface never guesses. */
export const capabilitySchema = z
  .enum([
    'conversation.get',
    'conversation.update',
    'entry.list',
    'message.send',
    'member.list',
    'member.add',
    'member.remove',
    'member.leave',
    'cursor.list',
    'cursor.move',
    'typing.signal',
  ])
  .meta({ id: 'Capability' })
export type Capability = z.infer<typeof capabilitySchema>

export const memberRoleSchema = z.enum(['manager', 'participant'])
export type MemberRole = z.infer<typeof memberRoleSchema>

export const memberSchema = z
  .object({
    userId: userIdSchema,
    displayName: z.string(),
    role: roleSchema,
    memberRole: memberRoleSchema,
    active: z.boolean(),
    joinedAt: instantSchema,
  })
  .meta({ id: 'Member' })
export type Member = z.infer<typeof memberSchema>

/** How far one member has come. Only moves forward. */
export const cursorSchema = z
  .object({ userId: userIdSchema, deliveredSeq: seqOrZeroSchema, readSeq: seqOrZeroSchema })
  .meta({ id: 'Cursor' })
export type Cursor = z.infer<typeof cursorSchema>

export const moveCursorBodySchema = z
  .strictObject({ deliveredSeq: seqOrZeroSchema.optional(), readSeq: seqOrZeroSchema.optional() })
  .refine((body) => body.deliveredSeq !== undefined || body.readSeq !== undefined, 'one of deliveredSeq and readSeq')

/** The caller's own cursor, with the unread number as of `asOfSeq`: entries after that are not counted in it. */
export const movedCursorSchema = cursorSchema
  .extend({ unread: z.int().min(0), asOfSeq: seqOrZeroSchema })
  .meta({ id: 'MovedCursor' })
export type MovedCursor = z.infer<typeof movedCursorSchema>

export const historyPolicySchema = z
  .enum(['full', 'since-join'])
  .meta({ description: 'Whether members added later see what was written before they joined' })

/** In `managed` mode the server encrypts at rest; `e2ee` (MLS on the devices) is chosen at creation and never changes. */
export const conversationModeSchema = z.enum(['managed'])

export const counterpartSchema = z
  .object({ userId: userIdSchema, displayName: z.string(), role: roleSchema })
  .meta({ id: 'Counterpart' })
export type Counterpart = z.infer<typeof counterpartSchema>

export const conversationSchema = z
  .object({
    conversationId: conversationIdSchema,
    kind: z.enum(['direct', 'group']),
    mode: conversationModeSchema,
    title: z.string().nullable(),
    subjectUserId: userIdSchema.nullable().meta({ description: 'The patient the conversation is about' }),
    history: historyPolicySchema,
    closed: z.boolean(),
    createdAt: instantSchema,
    memberCount: z.int().min(0),
    counterpart: counterpartSchema.nullable().meta({
      description:
        'Of a direct conversation the one whom the caller talks to, named as now, also when gone or deactivated; of a group null',
    }),
    lastSeq: seqOrZeroSchema,
    firstVisibleSeq: seqOrZeroSchema.meta({ description: 'The oldest position the caller may read' }),
    lastEntryAt: instantSchema.nullable(),
    lastEntry: entrySchema.nullable(),
    cursor: movedCursorSchema,
    can: z.array(capabilitySchema),
    notForEmergencies: z
      .boolean()
      .meta({ description: 'Whether the caller is shown the "not for emergencies" notice' }),
  })
  .meta({ id: 'Conversation' })
export type Conversation = z.infer<typeof conversationSchema>

export const createConversationBodySchema = z.strictObject({
  conversationId: conversationIdSchema.meta({
    description: 'Made by the client, so that a repeat creates nothing twice',
  }),
  kind: z.enum(['direct', 'group']),
  mode: conversationModeSchema.default('managed'),
  title: titleSchema.nullable().default(null),
  subjectUserId: userIdSchema.nullable().default(null),
  history: historyPolicySchema.default('full'),
  memberIds: z.array(userIdSchema).min(1).max(limitSpecs.membersPerRequestMax.value),
})

/** What changed since a token, and nothing else: what is read, opened and sent follows what changed. */
export const syncSchema = z
  .object({
    changed: z.array(conversationSchema),
    removed: z.array(conversationIdSchema).meta({ description: 'Conversations the caller is no longer a member of' }),
    token: z.string().meta({ description: 'Opaque: give it to the next sync' }),
    more: z.boolean().meta({ description: 'Whether to sync again at once with the new token' }),
  })
  .meta({ id: 'Sync' })
export type Sync = z.infer<typeof syncSchema>

export const presenceSchema = z
  .object({ userId: userIdSchema, state: z.enum(['online', 'away', 'offline']) })
  .meta({ id: 'Presence' })
export type Presence = z.infer<typeof presenceSchema>
