import { z } from 'zod'
import { deviceIdSchema, instantSchema, sessionIdSchema, teamIdSchema, userIdSchema } from '../ids.ts'
import {
  deviceSchema,
  loginSchema,
  nameSchema,
  passwordSchema,
  roleSchema,
  sessionSchema,
  teamSchema,
  tenantSlugSchema,
  userSchema,
} from '../model/user.ts'
import { operation } from './operation.ts'
import { pageOf, pageQuery } from './paging.ts'

const userParams = z.strictObject({ userId: userIdSchema })

/** Where the refresh token travels: first-party pages keep it in an HttpOnly cookie, embedding apps and Node hold it themselves. */
const refreshTokenIn = z.enum(['cookie', 'body']).default('body')

export const signedInSchema = z
  .object({
    accessToken: z.string(),
    accessTokenExpiresAt: instantSchema,
    refreshToken: z.string().nullable().meta({ description: 'null when it was set as a cookie' }),
    deviceSecret: z
      .string()
      .nullable()
      .meta({ description: 'Proves the device at its next sign-in; null when unchanged or a cookie' }),
    session: sessionSchema,
    user: userSchema,
  })
  .meta({ id: 'SignedIn' })
export type SignedIn = z.infer<typeof signedInSchema>

const deviceInput = z
  .strictObject({ deviceId: deviceIdSchema.optional(), deviceSecret: z.string().max(100).optional(), name: nameSchema })
  .meta({ description: 'A device that is known proves itself by its secret; without one a new device is made' })

export const createSession = operation({
  operationId: 'createSession',
  method: 'POST',
  path: '/v1/sessions',
  summary: 'Sign in with a name and a password',
  tag: 'identity',
  body: z.strictObject({
    tenant: tenantSlugSchema.optional().meta({ description: 'May be left out where the deployment has one tenant' }),
    login: loginSchema,
    password: passwordSchema,
    device: deviceInput,
    refreshTokenIn,
  }),
  reply: { status: 201, schema: signedInSchema },
  auth: 'none',
  audit: 'session.create',
  activity: true,
  problems: ['identity/sign-in-failed', 'identity/sign-in-delayed'],
})

export const refreshSession = operation({
  operationId: 'refreshSession',
  method: 'POST',
  path: '/v1/sessions/refresh',
  summary: 'Exchange a refresh token for a new pair; the old one answers for a short grace only',
  tag: 'identity',
  body: z.strictObject({
    refreshToken: z.string().max(200).optional(),
    refreshTokenIn: refreshTokenIn.meta({
      description: 'A token that came in its cookie is answered in its cookie, whatever is asked',
    }),
  }),
  reply: { status: 200, schema: signedInSchema },
  auth: 'none',
  audit: 'session.refresh',
  activity: false,
  problems: ['identity/refresh-invalid', 'identity/session-ended'],
})

export const listSessions = operation({
  operationId: 'listSessions',
  method: 'GET',
  path: '/v1/sessions',
  summary: "The caller's sessions that have not ended",
  tag: 'identity',
  query: z.strictObject(pageQuery),
  reply: { status: 200, schema: pageOf(sessionSchema) },
  auth: 'session',
  audit: 'session.list',
  activity: true,
  problems: [],
})

export const endSession = operation({
  operationId: 'endSession',
  method: 'DELETE',
  path: '/v1/sessions/:sessionId',
  summary: 'End a session: its tokens stop working and its sockets close within a second',
  tag: 'identity',
  params: z.strictObject({ sessionId: sessionIdSchema }),
  reply: { status: 204 },
  auth: 'session',
  audit: 'session.end',
  activity: true,
  problems: ['access/not-found'],
})

export const createSocketTicket = operation({
  operationId: 'createSocketTicket',
  method: 'POST',
  path: '/v1/socket-tickets',
  summary: 'A ticket that opens one socket, once, within seconds',
  tag: 'identity',
  reply: {
    status: 201,
    schema: z.object({ ticket: z.string(), expiresAt: instantSchema }).meta({ id: 'SocketTicket' }),
  },
  auth: 'session',
  audit: 'socket-ticket.create',
  activity: false,
  problems: [],
})

export const redeemSignInLink = operation({
  operationId: 'redeemSignInLink',
  method: 'POST',
  path: '/v1/sign-in-links/redeem',
  summary: 'Use a one-time link to set a password and sign in',
  tag: 'identity',
  body: z.strictObject({
    token: z.string().min(20).max(200),
    password: passwordSchema,
    device: deviceInput,
    refreshTokenIn,
  }),
  reply: { status: 201, schema: signedInSchema },
  auth: 'none',
  audit: 'sign-in-link.redeem',
  activity: true,
  problems: ['identity/link-invalid', 'identity/password-weak'],
})

export const createSignInLink = operation({
  operationId: 'createSignInLink',
  method: 'POST',
  path: '/v1/users/:userId/sign-in-links',
  summary: 'A one-time link by which a user sets a password; earlier links stop working',
  tag: 'identity',
  params: userParams,
  reply: {
    status: 201,
    schema: z.object({ token: z.string(), expiresAt: instantSchema }).meta({ id: 'SignInLink' }),
  },
  auth: 'session',
  audit: 'sign-in-link.create',
  activity: true,
  problems: ['access/denied', 'access/not-found'],
})

export const changePassword = operation({
  operationId: 'changePassword',
  method: 'PUT',
  path: '/v1/users/:userId/password',
  summary: "Change the caller's own password; every other session of the user ends",
  tag: 'identity',
  params: userParams,
  body: z.strictObject({ currentPassword: passwordSchema, newPassword: passwordSchema }),
  reply: { status: 204 },
  auth: 'session',
  audit: 'password.change',
  activity: true,
  problems: ['identity/sign-in-failed', 'identity/sign-in-delayed', 'identity/password-weak', 'access/not-found'],
})

export const createUser = operation({
  operationId: 'createUser',
  method: 'POST',
  path: '/v1/users',
  summary: 'Create a user',
  tag: 'identity',
  body: z.strictObject({
    userId: userIdSchema.meta({ description: 'Made by the client, so that a repeat creates nothing twice' }),
    login: loginSchema,
    displayName: nameSchema,
    role: roleSchema,
    teamIds: z.array(teamIdSchema).max(50).default([]),
  }),
  reply: { status: 201, schema: userSchema },
  auth: 'session',
  audit: 'user.create',
  activity: true,
  problems: ['access/denied', 'identity/login-taken', 'identity/id-taken'],
})

export const updateUser = operation({
  operationId: 'updateUser',
  method: 'PATCH',
  path: '/v1/users/:userId',
  summary:
    'Rename a user, change the role or the teams, or deactivate: a deactivated user has no session, token or socket',
  tag: 'identity',
  params: userParams,
  body: z.strictObject({
    displayName: nameSchema.optional(),
    role: roleSchema.optional(),
    active: z.boolean().optional(),
    teamIds: z.array(teamIdSchema).max(50).optional(),
  }),
  reply: { status: 200, schema: userSchema },
  auth: 'session',
  audit: 'user.update',
  activity: true,
  problems: ['access/denied', 'access/not-found', 'identity/last-administrator'],
})

export const getUser = operation({
  operationId: 'getUser',
  method: 'GET',
  path: '/v1/users/:userId',
  summary: 'One user that the caller may see',
  tag: 'identity',
  params: userParams,
  reply: { status: 200, schema: userSchema },
  auth: 'session',
  audit: 'user.get',
  activity: true,
  problems: ['access/not-found'],
})

export const listUsers = operation({
  operationId: 'listUsers',
  method: 'GET',
  path: '/v1/users',
  summary: 'The users that the caller may see',
  tag: 'identity',
  query: z.strictObject({ ...pageQuery, role: roleSchema.optional() }),
  reply: { status: 200, schema: pageOf(userSchema) },
  auth: 'session',
  audit: 'user.list',
  activity: true,
  problems: [],
})

export const createTeam = operation({
  operationId: 'createTeam',
  method: 'POST',
  path: '/v1/teams',
  summary: 'Create a team',
  tag: 'identity',
  body: z.strictObject({ teamId: teamIdSchema, name: nameSchema }),
  reply: { status: 201, schema: teamSchema },
  auth: 'session',
  audit: 'team.create',
  activity: true,
  problems: ['access/denied', 'identity/id-taken'],
})

export const listTeams = operation({
  operationId: 'listTeams',
  method: 'GET',
  path: '/v1/teams',
  summary: 'The teams of the tenant',
  tag: 'identity',
  query: z.strictObject(pageQuery),
  reply: { status: 200, schema: pageOf(teamSchema) },
  auth: 'session',
  audit: 'team.list',
  activity: true,
  problems: ['access/denied'],
})

export const listDevices = operation({
  operationId: 'listDevices',
  method: 'GET',
  path: '/v1/devices',
  summary: "The caller's devices",
  tag: 'identity',
  query: z.strictObject(pageQuery),
  reply: { status: 200, schema: pageOf(deviceSchema) },
  auth: 'session',
  audit: 'device.list',
  activity: true,
  problems: [],
})

export const revokeDevice = operation({
  operationId: 'revokeDevice',
  method: 'DELETE',
  path: '/v1/devices/:deviceId',
  summary: 'Revoke a device: its sessions end and its sockets close within a second',
  tag: 'identity',
  params: z.strictObject({ deviceId: deviceIdSchema }),
  reply: { status: 204 },
  auth: 'session',
  audit: 'device.revoke',
  activity: true,
  problems: ['access/not-found'],
})
