/** How each line of the table is tried: with what input, on what, and how one sees that it shows what it is about. */

import type { ConversationId, EntryId, TeamId, UserId } from '@sotto/protocol'
import { signIn, type Hand } from './clinic.ts'
import { joinAs, type Scene } from './matrix-scene.ts'

export type Input = Readonly<Record<string, unknown>>

export interface Attempt {
  readonly input: Input
  /** The same on something that does not exist: its answer is what `.` must be told apart from by nobody. */
  readonly nowhere?: Input
  /** Undoes what a success did to the relation itself. */
  readonly restore?: () => Promise<unknown>
}

export interface MatrixCase {
  attempt(scene: Scene, caller: Hand, isDone: boolean): Attempt | Promise<Attempt>
  /** Of a list: whether it shows the thing that the caller may or may not see. */
  readonly shows?: (body: never, scene: Scene) => boolean
}

const plain = (input: Input = {}): MatrixCase => ({ attempt: () => ({ input }) })
const inWard = (more: (scene: Scene) => Input = () => ({})): MatrixCase => ({
  attempt: (scene) => ({
    input: { conversationId: scene.ward.conversationId, ...more(scene) },
    nowhere: { conversationId: scene.server.composition.ids.next<ConversationId>(), ...more(scene) },
  }),
})
const next = <Id extends string>({ server }: Scene): Id => server.composition.ids.next<Id>()
const message = (scene: Scene): Input => ({
  entryId: next<EntryId>(scene),
  payload: { v: 1, type: 'text', text: 'How are you?' },
})
const hasItem =
  (name: string, id: (scene: Scene) => string) =>
  (body: { readonly items: readonly Record<string, unknown>[] }, scene: Scene): boolean =>
    body.items.some((item) => item[name] === id(scene))

const wardId = (scene: Scene) => scene.ward.conversationId
const hostId = (scene: Scene) => scene.ward.host.userId
/** Someone who is there at the moment: what presence shows of somebody unknown is that nobody is there. */
const showsHost = (body: { readonly items: readonly { userId: string; state: string }[] }, scene: Scene) =>
  body.items.some((item) => item.userId === hostId(scene) && item.state === 'online')
const showsChanged = (body: { readonly changed: readonly { conversationId: string }[] }, scene: Scene) =>
  body.changed.some((conversation) => conversation.conversationId === wardId(scene))

export const matrixCases: Readonly<Record<string, MatrixCase>> = {
  getLimits: plain(),
  getOpenApi: plain(),
  getAsyncApi: plain(),
  listProblems: plain(),
  createSession: {
    attempt: (_scene, { slug, login, password }) => ({
      input: { tenant: slug, login, password, device: { name: 'a device' } },
    }),
  },
  refreshSession: {
    attempt: async ({ server }, caller) => ({
      input: { refreshToken: (await signIn(server, caller)).refreshToken },
    }),
  },
  redeemSignInLink: {
    attempt: async (scene, caller) => ({
      input: {
        token: (await linkFor(scene, scene.spares[caller.role].userId)).token,
        password: scene.spares[caller.role].password,
        device: { name: 'a device' },
      },
    }),
  },
  listSessions: plain(),
  'endSession own': {
    attempt: async ({ server }, caller, isDone) => ({
      input: { sessionId: isDone ? (await signIn(server, caller)).session.sessionId : caller.ctx.sessionId },
    }),
  },
  "endSession another's": {
    attempt: async (scene, _caller, isDone) => ({
      input: {
        sessionId: (isDone ? (await signIn(scene.server, scene.bystander)).hand : scene.bystander).ctx.sessionId,
      },
      nowhere: { sessionId: next(scene) },
    }),
  },
  createSocketTicket: plain(),
  listDevices: plain(),
  'revokeDevice own': {
    attempt: async ({ server }, caller, isDone) => ({
      input: { deviceId: isDone ? (await signIn(server, caller)).session.deviceId : caller.ctx.deviceId },
    }),
  },
  "revokeDevice another's": {
    attempt: async (scene, _caller, isDone) => ({
      input: { deviceId: (isDone ? (await signIn(scene.server, scene.bystander)).hand : scene.bystander).ctx.deviceId },
      nowhere: { deviceId: next(scene) },
    }),
  },
  'changePassword own': {
    attempt: (scene, caller, isDone) => {
      const newPassword = `lantern ${next(scene)} harbour`
      const input = { userId: caller.userId, currentPassword: caller.password, newPassword }
      const everywhere = Object.values(scene.relations).flatMap((people) => Object.values(people))
      const restore = async () => {
        for (const hand of everywhere) if (hand.userId === caller.userId) hand.password = newPassword
      }
      return isDone ? { input, restore } : { input }
    },
  },
  "changePassword another's": {
    attempt: (scene, caller) => {
      const passwords = { currentPassword: caller.password, newPassword: 'lantern over a quiet harbour' }
      return {
        input: { userId: scene.bystander.userId, ...passwords },
        nowhere: { userId: next(scene), ...passwords },
      }
    },
  },
  createUser: {
    attempt: (scene) => {
      const userId = next<UserId>(scene)
      return { input: { userId, login: `new-${userId}`, displayName: 'New', role: 'clinician' } }
    },
  },
  updateUser: onSpare({ displayName: 'Renamed' }),
  createSignInLink: onSpare({}),
  createTeam: { attempt: (scene) => ({ input: { teamId: next<TeamId>(scene), name: 'Ward 4' } }) },
  listTeams: { ...plain(), shows: hasItem('teamId', ({ ward }) => ward.teamId) },
  getUser: { attempt: (scene) => ({ input: { userId: hostId(scene) }, nowhere: { userId: next(scene) } }) },
  listUsers: { ...plain({ limit: 200 }), shows: hasItem('userId', hostId) },
  listPresence: { attempt: (scene) => ({ input: { userIds: hostId(scene) } }), shows: showsHost },
  listAuditEvents: {
    attempt: (scene) => ({ input: { resourceId: wardId(scene) } }),
    shows: ({ items }: { readonly items: readonly unknown[] }) => items.length > 0,
  },
  getAuditEvent: {
    attempt: (scene) => ({ input: { auditEventId: scene.auditEventId }, nowhere: { auditEventId: next(scene) } }),
  },
  createConversation: {
    attempt: (scene) => ({
      input: { conversationId: next<ConversationId>(scene), kind: 'group', memberIds: [scene.bystander.userId] },
    }),
  },
  listConversations: { ...plain({ limit: 200 }), shows: hasItem('conversationId', wardId) },
  syncConversations: { ...plain({ limit: 200 }), shows: showsChanged },
  getConversation: inWard(),
  updateConversation: inWard(() => ({ title: 'Evening round' })),
  listMembers: inWard(),
  addMember: inWard(({ bystander }) => ({ userIds: [bystander.userId] })),
  'removeMember another': {
    attempt: async (scene, caller, isDone) => {
      const userId = isDone ? scene.spares[caller.role].userId : scene.bystander.userId
      if (isDone) await join(scene, userId, 'participant')
      return { input: { conversationId: wardId(scene), userId }, nowhere: { conversationId: next(scene), userId } }
    },
  },
  'removeMember leaving': {
    attempt: (scene, { userId, ctx }, isDone) => {
      const isManager = scene.relations.manager[ctx.role].userId === userId
      return {
        input: { conversationId: wardId(scene), userId },
        nowhere: { conversationId: next(scene), userId },
        restore: async () => void (isDone && (await join(scene, userId, isManager ? 'manager' : 'participant'))),
      }
    },
  },
  sendMessage: inWard(message),
  listEntries: inWard(),
  listCursors: inWard(),
  moveCursor: inWard(() => ({ deliveredSeq: 1 })),
  'message.send': inWard(message),
  'cursor.move': inWard(() => ({ deliveredSeq: 1 })),
  'typing.signal': inWard(() => ({ typing: true })),
  'presence.set': plain({ state: 'online' }),
  'presence.watch': { attempt: (scene) => ({ input: { userIds: [hostId(scene)] } }), shows: showsHost },
  'conversation.sync': { ...plain(), shows: showsChanged },
  ping: plain(),
}

function onSpare(more: Input): MatrixCase {
  return {
    attempt: (scene, caller) => ({
      input: { userId: scene.spares[caller.role].userId, ...more },
      nowhere: { userId: next(scene), ...more },
    }),
  }
}

function linkFor(scene: Scene, userId: UserId) {
  return scene.server.composition.operations.createSignInLink(scene.clinic.ada.ctx, { userId })
}

function join({ server, owner, ward }: Scene, userId: UserId, memberRole: 'manager' | 'participant') {
  return joinAs(server, owner, ward, userId, memberRole)
}
