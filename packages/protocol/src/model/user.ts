import { z } from 'zod'
import { instantSchema, deviceIdSchema, sessionIdSchema, teamIdSchema, userIdSchema } from '../ids.ts'
import { limitSpecs } from '../limits.ts'

/** What a principal may be. The policy engine refines these; nothing ever widens them. */
export const roleSchema = z
  .enum(['administrator', 'compliance-officer', 'clinician', 'patient', 'service'])
  .meta({ id: 'Role' })
export type Role = z.infer<typeof roleSchema>

/**
 * Names are shown to people: no control characters, no line breaks, no bidirectional overrides (UTS #39 §5), and no halves of
 * characters, which UTF-8 cannot carry.
 */
const printable = /^[^\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]+$/u
export const nameSchema = z
  .string()
  .trim()
  .min(1)
  .max(limitSpecs.nameCharactersMax.value)
  .regex(printable, 'one line of printable text')
export const titleSchema = z
  .string()
  .trim()
  .min(1)
  .max(limitSpecs.titleCharactersMax.value)
  .regex(printable, 'one line of printable text')

/** What a person types to sign in: compared without case, never shown to others. */
export const loginSchema = z
  .string()
  .trim()
  .min(3)
  .max(254)
  .regex(/^[^\s\p{Cc}\p{Cs}]+$/u, 'no spaces')
export const tenantSlugSchema = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'lowercase letters, digits and hyphens')
export const passwordSchema = z.string().min(1).max(limitSpecs.passwordCharactersMax.value)

export const teamSchema = z.object({ teamId: teamIdSchema, name: z.string() }).meta({ id: 'Team' })
export type Team = z.infer<typeof teamSchema>

export const userSchema = z
  .object({
    userId: userIdSchema,
    displayName: z.string().meta({ description: 'PHI when the user is a patient' }),
    role: roleSchema,
    active: z.boolean(),
    teams: z.array(teamSchema),
  })
  .meta({ id: 'User' })
export type User = z.infer<typeof userSchema>

export const deviceSchema = z
  .object({
    deviceId: deviceIdSchema,
    userId: userIdSchema,
    name: z.string(),
    createdAt: instantSchema,
    lastSeenAt: instantSchema,
    revokedAt: instantSchema.nullable(),
  })
  .meta({ id: 'Device' })
export type Device = z.infer<typeof deviceSchema>

export const sessionSchema = z
  .object({
    sessionId: sessionIdSchema,
    userId: userIdSchema,
    deviceId: deviceIdSchema,
    createdAt: instantSchema,
    lastActiveAt: instantSchema,
    idleExpiresAt: instantSchema,
    absoluteExpiresAt: instantSchema,
    endedAt: instantSchema.nullable(),
    current: z.boolean(),
  })
  .meta({ id: 'Session' })
export type Session = z.infer<typeof sessionSchema>
