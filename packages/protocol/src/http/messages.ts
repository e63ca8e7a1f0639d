import { z } from 'zod'
import { conversationIdSchema, seqOrZeroSchema, seqSchema } from '../ids.ts'
import { entrySchema, sendMessageBodySchema, sentSchema } from '../model/entry.ts'
import { operation } from './operation.ts'
import { pageQuery } from './paging.ts'

const conversationParams = z.strictObject({ conversationId: conversationIdSchema })

export const sendMessage = operation({
  operationId: 'sendMessage',
  method: 'POST',
  path: '/v1/conversations/:conversationId/entries',
  summary: 'Append one message; answered after it is durable',
  tag: 'messages',
  params: conversationParams,
  body: sendMessageBodySchema,
  reply: { status: 201, schema: sentSchema },
  auth: 'session',
  audit: 'message.send',
  activity: true,
  problems: [
    'access/denied',
    'access/not-found',
    'messages/too-large',
    'messages/entry-conflict',
    'conversations/closed',
  ],
})

const seqInQuery = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number)

export const listEntries = operation({
  operationId: 'listEntries',
  method: 'GET',
  path: '/v1/conversations/:conversationId/entries',
  summary: 'A range of the log in order of seq: the last ones, those after, or those before a position',
  tag: 'messages',
  params: conversationParams,
  query: z.strictObject({
    afterSeq: seqInQuery.pipe(seqOrZeroSchema).optional(),
    beforeSeq: seqInQuery.pipe(seqSchema).optional(),
    limit: pageQuery.limit,
  }),
  reply: {
    status: 200,
    schema: z
      .object({ items: z.array(entrySchema), firstVisibleSeq: seqOrZeroSchema, lastSeq: seqOrZeroSchema })
      .meta({ id: 'EntryRange' }),
  },
  auth: 'session',
  audit: 'entry.list',
  activity: false,
  problems: ['access/not-found'],
})
