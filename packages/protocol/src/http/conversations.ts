import { z } from 'zod'
import { conversationIdSchema, userIdSchema } from '../ids.ts'
import { limitSpecs } from '../limits.ts'
import {
  conversationSchema,
  createConversationBodySchema,
  cursorSchema,
  memberRoleSchema,
  memberSchema,
  moveCursorBodySchema,
  movedCursorSchema,
  syncSchema,
} from '../model/conversation.ts'
import { titleSchema } from '../model/user.ts'
import { operation } from './operation.ts'
import { pageOf, pageQuery } from './paging.ts'

const conversationParams = z.strictObject({ conversationId: conversationIdSchema })

export const createConversation = operation({
  operationId: 'createConversation',
  method: 'POST',
  path: '/v1/conversations',
  summary: 'Create a conversation; the caller becomes its manager',
  tag: 'conversations',
  body: createConversationBodySchema,
  reply: { status: 201, schema: conversationSchema },
  auth: 'session',
  audit: 'conversation.create',
  activity: true,
  problems: ['access/denied', 'conversations/unknown-user', 'conversations/id-taken'],
})

export const listConversations = operation({
  operationId: 'listConversations',
  method: 'GET',
  path: '/v1/conversations',
  summary: "The caller's conversations",
  tag: 'conversations',
  query: z.strictObject(pageQuery),
  reply: { status: 200, schema: pageOf(conversationSchema) },
  auth: 'session',
  audit: 'conversation.list',
  activity: false,
  problems: [],
})

export const getConversation = operation({
  operationId: 'getConversation',
  method: 'GET',
  path: '/v1/conversations/:conversationId',
  summary: "One conversation with the caller's capabilities",
  tag: 'conversations',
  params: conversationParams,
  reply: { status: 200, schema: conversationSchema },
  auth: 'session',
  audit: 'conversation.get',
  activity: false,
  problems: ['access/not-found'],
})

export const updateConversation = operation({
  operationId: 'updateConversation',
  method: 'PATCH',
  path: '/v1/conversations/:conversationId',
  summary: 'Rename, close or reopen a conversation',
  tag: 'conversations',
  params: conversationParams,
  body: z.strictObject({ title: titleSchema.nullable().optional(), closed: z.boolean().optional() }),
  reply: { status: 200, schema: conversationSchema },
  auth: 'session',
  audit: 'conversation.update',
  activity: true,
  problems: ['access/denied', 'access/not-found'],
})

export const listMembers = operation({
  operationId: 'listMembers',
  method: 'GET',
  path: '/v1/conversations/:conversationId/members',
  summary: 'Who is in the conversation, and as what',
  tag: 'conversations',
  params: conversationParams,
  query: z.strictObject(pageQuery),
  reply: { status: 200, schema: pageOf(memberSchema) },
  auth: 'session',
  audit: 'member.list',
  activity: false,
  problems: ['access/not-found'],
})

export const addMember = operation({
  operationId: 'addMember',
  method: 'POST',
  path: '/v1/conversations/:conversationId/members',
  summary: 'Add users to the conversation; whether they see earlier entries is its history policy',
  tag: 'conversations',
  params: conversationParams,
  body: z.strictObject({
    userIds: z.array(userIdSchema).min(1).max(limitSpecs.membersPerRequestMax.value),
    memberRole: memberRoleSchema.default('participant'),
  }),
  reply: { status: 200, schema: conversationSchema },
  auth: 'session',
  audit: 'member.add',
  activity: true,
  problems: [
    'access/denied',
    'access/not-found',
    'conversations/unknown-user',
    'conversations/too-many-members',
    'conversations/closed',
  ],
})

export const removeMember = operation({
  operationId: 'removeMember',
  method: 'DELETE',
  path: '/v1/conversations/:conversationId/members/:userId',
  summary: 'Remove a member, or leave: delivery to the removed ends within a second',
  tag: 'conversations',
  params: z.strictObject({ conversationId: conversationIdSchema, userId: userIdSchema }),
  reply: { status: 204 },
  auth: 'session',
  audit: 'member.remove',
  activity: true,
  problems: ['access/denied', 'access/not-found', 'conversations/last-manager'],
})

export const listCursors = operation({
  operationId: 'listCursors',
  method: 'GET',
  path: '/v1/conversations/:conversationId/cursors',
  summary: 'How far each member has received and read; empty above `receiptMembersMax` members',
  tag: 'conversations',
  params: conversationParams,
  reply: { status: 200, schema: z.object({ items: z.array(cursorSchema) }) },
  auth: 'session',
  audit: 'cursor.list',
  activity: false,
  problems: ['access/not-found'],
})

export const moveCursor = operation({
  operationId: 'moveCursor',
  method: 'PUT',
  path: '/v1/conversations/:conversationId/cursor',
  summary: "Move the caller's cursor forward; moving it back changes nothing",
  tag: 'conversations',
  params: conversationParams,
  body: moveCursorBodySchema,
  reply: { status: 200, schema: movedCursorSchema },
  auth: 'session',
  audit: 'cursor.move',
  activity: false,
  problems: ['access/not-found', 'conversations/cursor-ahead'],
})

export const syncConversations = operation({
  operationId: 'syncConversations',
  method: 'GET',
  path: '/v1/sync',
  summary: 'The conversations that changed since a token; all of them without one',
  tag: 'conversations',
  query: z.strictObject({ token: z.string().max(500).optional(), limit: pageQuery.limit }),
  reply: { status: 200, schema: syncSchema },
  auth: 'session',
  audit: 'conversation.sync',
  activity: false,
  problems: ['conversations/sync-expired'],
})
