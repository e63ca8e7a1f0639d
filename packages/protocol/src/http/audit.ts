import { z } from 'zod'
import { auditEventIdSchema, instantSchema, userIdSchema } from '../ids.ts'
import { auditActionSchema, auditEventSchema, auditOutcomeSchema } from '../model/audit-event.ts'
import { operation } from './operation.ts'
import { pageOf, pageQuery } from './paging.ts'

export const listAuditEvents = operation({
  operationId: 'listAuditEvents',
  method: 'GET',
  path: '/v1/audit-events',
  summary: 'Search the audit trail, newest first; the search is itself recorded',
  tag: 'audit',
  query: z.strictObject({
    ...pageQuery,
    actorUserId: userIdSchema.optional(),
    subjectUserId: userIdSchema.optional(),
    resourceId: z.string().max(100).optional(),
    action: auditActionSchema.optional(),
    outcome: auditOutcomeSchema.optional(),
    from: instantSchema.optional(),
    to: instantSchema.optional(),
  }),
  reply: { status: 200, schema: pageOf(auditEventSchema) },
  auth: 'session',
  audit: 'audit-event.list',
  activity: true,
  problems: ['access/denied'],
})

export const getAuditEvent = operation({
  operationId: 'getAuditEvent',
  method: 'GET',
  path: '/v1/audit-events/:auditEventId',
  summary: 'One audit event',
  tag: 'audit',
  params: z.strictObject({ auditEventId: auditEventIdSchema }),
  reply: { status: 200, schema: auditEventSchema },
  auth: 'session',
  audit: 'audit-event.get',
  activity: true,
  problems: ['access/denied', 'access/not-found'],
})
