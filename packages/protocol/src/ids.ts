import { z } from 'zod'

/** Plain lowercase UUIDs on the wire, branded per noun in code, so that a user's id never fits where a device's belongs. */
const uuid = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, 'a lowercase UUID')
const uuidv7 = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, 'a lowercase UUIDv7')

export const tenantIdSchema = uuid.brand<'TenantId'>()
export const userIdSchema = uuid.brand<'UserId'>()
export const teamIdSchema = uuid.brand<'TeamId'>()
export const deviceIdSchema = uuid.brand<'DeviceId'>()
export const sessionIdSchema = uuid.brand<'SessionId'>()
export const conversationIdSchema = uuid.brand<'ConversationId'>()
/** Made by the client, so that a repeated send is recognised: UUIDv7 (RFC 9562 §5.7). */
export const entryIdSchema = uuidv7.brand<'EntryId'>()
export const auditEventIdSchema = uuid.brand<'AuditEventId'>()

export type TenantId = z.infer<typeof tenantIdSchema>
export type UserId = z.infer<typeof userIdSchema>
export type TeamId = z.infer<typeof teamIdSchema>
export type DeviceId = z.infer<typeof deviceIdSchema>
export type SessionId = z.infer<typeof sessionIdSchema>
export type ConversationId = z.infer<typeof conversationIdSchema>
export type EntryId = z.infer<typeof entryIdSchema>
export type AuditEventId = z.infer<typeof auditEventIdSchema>

/** An instant: RFC 3339, UTC, milliseconds. The calendar of the database has no year 0. */
export const instantSchema = z
  .string()
  .regex(
    /^(?!0000)\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/,
    'RFC 3339, UTC, with milliseconds',
  )
  .refine((text) => !Number.isNaN(Date.parse(text)), 'a day that exists')

/** Position in a conversation's log: 1-based, gapless. */
export const seqSchema = z.int().min(1).max(Number.MAX_SAFE_INTEGER)
/** A position that may also be "before the first entry". */
export const seqOrZeroSchema = z.int().min(0).max(Number.MAX_SAFE_INTEGER)
