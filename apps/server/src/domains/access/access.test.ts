import type { Capability, ConversationId, Role, SessionId, TenantId, UserId } from '@sotto/protocol'
import { roleSchema } from '@sotto/protocol'
import { describe, expect, test } from 'vitest'
import type { Ctx } from '../../platform/context/context.ts'
import type { Db, Tx } from '../../platform/db/tx.ts'
import { instant, type Clock } from '../../platform/time/clock.ts'
import { createAccess, GRANT_LIFE_MS } from './access.ts'
import type { FactSources, MembershipFacts, SessionFacts } from './facts.model.ts'
import { createKeptDecisions } from './kept-decisions.ts'
import {
  conversationActions,
  directoryActions,
  listCapabilities,
  mayManage,
  tenantActions,
  type ConversationAction,
} from './policy.model.ts'

// The rules as people would say them, held against the table of rules. Facts are values here; that the rooms bring the
// right ones is tested where they are brought.

const conversationId = 'c' as ConversationId
const tx = {} as Tx
const roles = roleSchema.options

/** Who may do what in the tenant: written down by hand, apart from the table. */
const MAY: Readonly<Record<keyof typeof tenantActions | keyof typeof directoryActions, string>> = {
  'user.create': 'administrator',
  'user.update': 'administrator',
  'sign-in-link.create': 'administrator',
  'team.create': 'administrator',
  'team.list': 'administrator compliance-officer clinician service',
  'conversation.create': 'clinician service',
  'conversation.list': roles.join(' '),
  'conversation.sync': roles.join(' '),
  'session.list': roles.join(' '),
  'session.end': roles.join(' '),
  'socket-ticket.create': roles.join(' '),
  'password.change': roles.join(' '),
  'device.list': roles.join(' '),
  'device.revoke': roles.join(' '),
  'presence.set': roles.join(' '),
  'audit-event.list': 'compliance-officer',
  'audit-event.get': 'compliance-officer',
  'user.get': 'administrator compliance-officer clinician service',
  'user.list': 'administrator compliance-officer clinician service',
  'presence.list': 'administrator compliance-officer clinician service',
  'presence.watch': 'administrator compliance-officer clinician service',
}

const someone = (role: Role): SessionFacts => ({ sessionId: 's' as SessionId, userId: 'u' as UserId, role })
const membership = (changes: Partial<MembershipFacts> = {}): MembershipFacts => ({
  conversationId,
  memberRole: 'participant',
  closed: false,
  kind: 'group',
  subjectUserId: null,
  firstVisibleSeq: 1,
  lastSeq: 1,
  keyEpoch: 1,
  memberCount: 2,
  ...changes,
})

/** Every relation to a conversation, in every state of it. */
const relations = [undefined, 'participant' as const, 'manager' as const].flatMap((memberRole) =>
  [false, true].flatMap((closed) =>
    (['direct', 'group'] as const).map((kind) => membership({ memberRole, closed, kind })),
  ),
)

function startAccess(session: SessionFacts | Error, member?: MembershipFacts) {
  let nowMs = 0
  const clock: Clock = { now: () => instant(nowMs), monotonicMs: () => nowMs }
  const asked = { times: 0 }
  const world = { session, member }
  const facts: FactSources = {
    async getSessionFacts() {
      if (world.session instanceof Error) throw world.session
      return world.session
    },
    async findMembershipFacts() {
      asked.times++
      return world.member
    },
    listFellowMemberIds: async () => ['u', 'fellow'] as UserId[],
  }
  const access = createAccess({ clock, facts })
  const ctx = { tenantId: 't' as TenantId, userId: 'u' as UserId, sessionId: 's' as SessionId } as Ctx
  const db = { withTx: (_scope: unknown, fn: (tx: Tx) => Promise<unknown>) => fn(tx) } as Db
  const kept = createKeptDecisions({ db, access, clock })
  return { access, kept, ctx, asked, world, pass: (ms: number) => void (nowMs += ms) }
}

const codeOf = (act: Promise<unknown>) =>
  act.then(
    () => 'allowed',
    (error: { code: string }) => error.code,
  )

describe('createAccess', () => {
  test.each(Object.keys(tenantActions) as (keyof typeof tenantActions)[])('%s takes the right role', async (action) => {
    for (const role of roles) {
      const { access, ctx } = startAccess(someone(role))
      const expected = MAY[action].split(' ').includes(role) ? 'allowed' : 'access/denied'
      expect([role, await codeOf(access.authorize(tx, ctx, action))]).toEqual([role, expected])
    }
  })

  test.each(Object.keys(directoryActions) as (keyof typeof directoryActions)[])(
    '%s shows staff everybody, and a patient those with whom a conversation is shared',
    async (action) => {
      for (const role of roles) {
        const { access, ctx } = startAccess(someone(role))
        const { users } = await access.authorizeDirectory(tx, ctx, action)
        if (MAY[action].split(' ').includes(role)) expect(users).toBe('all')
        else expect(new Set(users)).toEqual(new Set(['u', 'fellow']))
      }
    },
  )

  /** role × relation × state of the conversation: an oracle of its own. */
  function mayInConversation(
    action: ConversationAction,
    role: Role,
    { memberRole, closed, kind }: MembershipFacts,
  ): string {
    if (memberRole === undefined) return 'access/not-found'
    const manages = memberRole === 'manager' && (role === 'clinician' || role === 'service')
    switch (action) {
      case 'conversation.update':
        return manages ? 'allowed' : 'access/denied'
      case 'member.remove':
        return manages && kind === 'group' ? 'allowed' : 'access/denied'
      case 'member.add':
        if (closed) return 'conversations/closed'
        return manages && kind === 'group' ? 'allowed' : 'access/denied'
      case 'typing.signal':
        return closed ? 'conversations/closed' : 'allowed'
      default:
        return 'allowed'
    }
  }

  test('every action on a conversation, for every role, relation and state', async () => {
    const actions = Object.keys(conversationActions) as ConversationAction[]
    const cases = actions.flatMap((action) =>
      roles.flatMap((role) => relations.map((member) => ({ action, role, member }))),
    )
    expect(cases).toHaveLength(10 * 5 * 3 * 2 * 2)
    for (const { action, role, member } of cases) {
      const { access, ctx } = startAccess(someone(role), member)
      const answer = await codeOf(access.authorizeConversation(tx, ctx, action, conversationId))
      const { memberRole, closed, kind } = member
      const which = [action, role, memberRole, closed, kind]
      expect([...which, answer]).toEqual([...which, mayInConversation(action, role, member)])
    }
  })

  test('what may be offered is what will be allowed; a message needs an open conversation on top', async () => {
    const cases = roles.flatMap((role) => relations.map((member) => ({ role, member })))
    for (const { role, member } of cases) {
      const { access, ctx } = startAccess(someone(role), member)
      const can = listCapabilities(someone(role), { ...member, hasOtherManager: true, membersMax: 3 })
      for (const action of Object.keys(conversationActions) as ConversationAction[]) {
        const answer = await codeOf(access.authorizeConversation(tx, ctx, action, conversationId))
        const isAllowed = answer === 'allowed' && !(action === 'message.send' && member.closed)
        expect([action, can.includes(action as Capability)]).toEqual([action, isAllowed])
      }
      expect(can.includes('member.leave')).toBe(member.memberRole !== undefined && member.kind === 'group')
    }
  })

  test('the last manager is not offered to leave the others, and nobody to add to a full conversation', () => {
    const offered = (changes: Partial<MembershipFacts>, hasOtherManager = false) =>
      listCapabilities(someone('clinician'), { ...membership(changes), hasOtherManager, membersMax: 3 })
    const manager = { memberRole: 'manager' as const }
    expect(offered(manager)).not.toContain('member.leave')
    expect(offered(manager, true)).toContain('member.leave')
    expect(offered({ ...manager, memberCount: 1 })).toContain('member.leave')
    expect(offered({ memberRole: 'participant' })).toContain('member.leave')
    expect(offered(manager)).toContain('member.add')
    expect(offered({ ...manager, memberCount: 3 })).not.toContain('member.add')
  })

  test('who is refused is told the least, and the trail the most', async () => {
    const about = 'bob' as UserId
    const outside = startAccess(someone('clinician'), membership({ memberRole: undefined, subjectUserId: about }))
    const refused = outside.access.authorizeConversation(tx, outside.ctx, 'entry.list', conversationId)
    await expect(refused).rejects.toMatchObject({
      code: 'access/not-found',
      trueReason: 'not-a-member',
      subjectUserId: about,
    })
    const nowhere = startAccess(someone('clinician'), undefined)
    const nothing = nowhere.access.authorizeConversation(tx, nowhere.ctx, 'entry.list', conversationId)
    await expect(nothing).rejects.toMatchObject({ code: 'access/not-found', trueReason: 'no-such-conversation' })
  })

  test('a grant names who, what, on what, by which policy and for how long', async () => {
    const { access, ctx } = startAccess(someone('clinician'), membership())
    const { grant } = await access.authorizeConversation(tx, ctx, 'message.send', conversationId)
    expect(grant).toEqual({
      action: 'message.send',
      resourceId: conversationId,
      userId: 'u',
      policyVersion: 1,
      expiresAt: GRANT_LIFE_MS,
    })
  })

  test('whoever manages is one whom the rules let manage', () => {
    expect(roles.filter(mayManage)).toEqual(['clinician', 'service'])
  })
})

describe('createKeptDecisions', () => {
  const decide = ({ kept, ctx }: ReturnType<typeof startAccess>, action: ConversationAction = 'typing.signal') =>
    codeOf(kept.authorizeConversation(ctx, action, conversationId))

  test('a decision is kept as long as its grant, for this session, conversation and action', async () => {
    const world = startAccess(someone('clinician'), membership())
    await decide(world)
    await decide(world)
    expect(world.asked.times).toBe(1)
    await decide(world, 'message.send')
    expect(world.asked.times).toBe(2)
    world.pass(GRANT_LIFE_MS)
    await decide(world)
    expect(world.asked.times).toBe(3)
  })

  test('a refusal is never kept', async () => {
    const world = startAccess(someone('clinician'), membership({ closed: true }))
    expect(await decide(world)).toBe('conversations/closed')
    world.world.member = membership()
    expect(await decide(world)).toBe('allowed')
  })

  test('what changed in a conversation, or in a session, is decided anew', async () => {
    const world = startAccess(someone('clinician'), membership())
    await decide(world)
    world.world.member = membership({ memberRole: undefined })
    world.kept.forgetConversation('another' as ConversationId)
    expect(await decide(world)).toBe('allowed')
    world.kept.forgetConversation(conversationId)
    expect(await decide(world)).toBe('access/not-found')
    world.world.member = membership()
    await decide(world)
    world.world.session = Object.assign(new Error('over'), { code: 'identity/session-ended' })
    world.kept.forgetSessions(['another' as SessionId])
    expect(await decide(world)).toBe('allowed')
    world.kept.forgetSessions(['s' as SessionId])
    expect(await decide(world)).toBe('identity/session-ended')
  })

  test('a decision that was being made while something was forgotten is not kept', async () => {
    const world = startAccess(someone('clinician'), membership())
    const underWay = decide(world)
    world.world.member = membership({ closed: true })
    world.kept.forgetConversation(conversationId)
    expect(await underWay).toBe('allowed')
    expect(await decide(world)).toBe('conversations/closed')
  })
})
