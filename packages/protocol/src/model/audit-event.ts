import { z } from 'zod'
import { auditEventIdSchema, deviceIdSchema, instantSchema, sessionIdSchema, userIdSchema } from '../ids.ts'
import { roleSchema } from './user.ts'

/**
 * Every act has its action: noun.verb, the name of its operation. `tools/tidy.ts` refuses an operation without one.
 * The `socket.*`, `delivery.*`, `authentication.*` and `deployment.*` actions belong to no route.
 */
export const auditActionSchema = z
  .enum([
    'tenant.create',
    'session.create',
    'session.refresh',
    'session.end',
    'session.list',
    'socket-ticket.create',
    'sign-in-link.create',
    'sign-in-link.redeem',
    'password.change',
    'user.create',
    'user.update',
    'user.get',
    'user.list',
    'team.create',
    'team.list',
    'device.list',
    'device.revoke',
    'conversation.create',
    'conversation.update',
    'conversation.get',
    'conversation.list',
    'conversation.sync',
    'member.add',
    'member.remove',
    'member.list',
    'message.send',
    'entry.list',
    'cursor.move',
    'cursor.list',
    'typing.signal',
    'presence.set',
    'presence.watch',
    'presence.list',
    'audit-event.list',
    'audit-event.get',
    'socket.open',
    'socket.close',
    'delivery.open',
    'delivery.close',
    'request.refuse',
    'deployment.start',
    'deployment.stop',
    'key.rotate',
  ])
  .meta({ id: 'AuditAction' })
export type AuditAction = z.infer<typeof auditActionSchema>

/** HL7 v3 PurposeOfUse: why the actor asked (45 CFR 164.506, 164.512). */
export const purposeSchema = z
  .enum(['TREAT', 'ETREAT', 'HPAYMT', 'HOPERAT', 'HCOMPL', 'HSYSADMIN', 'PATRQT'])
  .meta({ id: 'Purpose' })
export type Purpose = z.infer<typeof purposeSchema>

export const auditOutcomeSchema = z.enum(['success', 'refused', 'failed'])
export type AuditOutcome = z.infer<typeof auditOutcomeSchema>

/** Who did what, on what, about whom, when, from where, why, and how it ended (45 CFR 164.312(b); ASTM E2147 §7). */
export const auditEventSchema = z
  .object({
    auditEventId: auditEventIdSchema,
    at: instantSchema,
    action: auditActionSchema,
    outcome: auditOutcomeSchema,
    code: z.string().nullable().meta({ description: 'The true reason of a refusal, also where the caller saw 404' }),
    actor: z.object({
      userId: userIdSchema.nullable(),
      role: roleSchema.nullable(),
      deviceId: deviceIdSchema.nullable(),
      sessionId: sessionIdSchema.nullable(),
      address: z.string().nullable(),
    }),
    resource: z.object({ type: z.string(), id: z.string() }).nullable(),
    subjectUserId: userIdSchema.nullable().meta({ description: 'The patient whom the act concerns' }),
    purpose: purposeSchema,
    requestId: z.string(),
    count: z.int().min(1).meta({ description: 'How many equal refusals the record stands for' }),
    details: z.record(z.string(), z.union([z.string(), z.int(), z.boolean(), z.array(z.string())])),
  })
  .meta({ id: 'AuditEvent' })
export type AuditEvent = z.infer<typeof auditEventSchema>
