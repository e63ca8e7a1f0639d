import { z } from 'zod'
import { userIdSchema } from '../ids.ts'
import { presenceSchema } from '../model/conversation.ts'
import { operation } from './operation.ts'

export const listPresence = operation({
  operationId: 'listPresence',
  method: 'GET',
  path: '/v1/presence',
  summary: 'Who of the named users is there; users whom the caller may not see are left out',
  tag: 'presence',
  query: z.strictObject({
    userIds: z
      .string()
      .max(4_000)
      .transform((list) => list.split(','))
      .pipe(z.array(userIdSchema).min(1).max(100)),
  }),
  reply: { status: 200, schema: z.object({ items: z.array(presenceSchema) }) },
  auth: 'session',
  audit: 'presence.list',
  activity: false,
  problems: [],
})
