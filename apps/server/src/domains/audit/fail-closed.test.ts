import {
  operations as contract,
  socketCommands,
  type CommandOp,
  type ConversationId,
  type Operations,
} from '@sotto/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { connectTestSocket, openTestSocket, type TestSocket } from '../../../../../packages/testkit/src/test-socket.ts'
import { openWard, type Clinic, type Person, type Ward } from '../conversations/ward.testing.ts'

// recordAudit and recordAuditItems: when the trail cannot be written, nothing happens and nothing is told.

const UNAVAILABLE = ['platform/unavailable', 'platform/internal']

describe.each(databaseKinds)('on %s', (kind) => {
  let ward: Ward
  let clinic: Clinic
  let conversationId: ConversationId
  let alice: Person, bob: Person, ada: Person, cora: Person

  beforeAll(async () => {
    ward = await openWard(kind)
    clinic = await ward.createClinic()
    ;({ alice, bob, ada, cora } = clinic)
    ;({ conversationId } = await ward.begin(alice, [bob, clinic.grace], { title: 'Knee', subjectUserId: bob.userId }))
    await ward.say(alice, conversationId, 'a text that nobody is told')
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })

  const breakTrail = () =>
    ward.ownerQuery(
      `create or replace function sotto.refuse_audit() returns trigger language plpgsql as $$
       begin raise exception 'the trail cannot be written'; end $$;
       create trigger refuse_audit before insert on sotto.audit_event for each statement execute function sotto.refuse_audit()`,
    )
  const mendTrail = () => ward.ownerQuery('drop function sotto.refuse_audit() cascade')

  /** Everything there is but the trail itself, and what is only a beat of a session or a node. */
  async function stateOf(except = ''): Promise<string> {
    const tables = await ward.ownerQuery(
      `select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = 'sotto' and c.relkind = 'r' and c.relname not in ('node', 'audit_event', 'audit_body', $1) order by 1`,
      [except],
    )
    const state: string[] = []
    for (const { relname } of tables) {
      const hidden = relname === 'session' ? `- 'last_active_at'` : ''
      const [row] = await ward.ownerQuery(
        `select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) as state
         from (select (to_jsonb(x) ${hidden})::text as t from sotto.${String(relname)} x) rows`,
      )
      state.push(`${String(relname)} ${String(row!['state'])}`)
    }
    return state.join('\n')
  }

  /** One valid request of every operation that a signed-in person may make. */
  function requests(): readonly (readonly [keyof Operations, Person, Record<string, unknown>])[] {
    const { ids } = ward
    const text = { v: 1, type: 'text', text: 'not kept' }
    const deviceId = clinic.carmen.ctx.deviceId
    return [
      ['sendMessage', alice, { conversationId, entryId: ids.next(), payload: text }],
      ['listEntries', bob, { conversationId }],
      ['createConversation', alice, { conversationId: ids.next(), kind: 'group', memberIds: [bob.userId] }],
      ['listConversations', bob, {}],
      ['getConversation', bob, { conversationId }],
      ['updateConversation', alice, { conversationId, title: 'Not kept' }],
      ['listMembers', bob, { conversationId }],
      ['addMember', alice, { conversationId, userIds: [clinic.carmen.userId] }],
      ['listCursors', bob, { conversationId }],
      ['moveCursor', bob, { conversationId, readSeq: 2 }],
      ['syncConversations', bob, {}],
      ['listPresence', bob, { userIds: alice.userId }],
      ['listAuditEvents', cora, {}],
      ['getAuditEvent', cora, { auditEventId: ids.next() }],
      ['createUser', ada, { userId: ids.next(), login: 'new', displayName: 'New', role: 'clinician' }],
      ['updateUser', ada, { userId: bob.userId, displayName: 'Robert' }],
      ['getUser', alice, { userId: bob.userId }],
      ['listUsers', alice, {}],
      ['createTeam', ada, { teamId: ids.next(), name: 'Team' }],
      ['listTeams', alice, {}],
      ['createSignInLink', ada, { userId: bob.userId }],
      ['createSocketTicket', bob, {}],
      ['removeMember', alice, { conversationId, userId: bob.userId }],
      ['listSessions', bob, {}],
      ['listDevices', bob, {}],
      ['endSession', bob, { sessionId: bob.ctx.sessionId }],
      ['revokeDevice', clinic.carmen, { deviceId }],
    ]
  }

  test(
    'every operation fails, changes nothing and tells nothing; then the trail is mended and all work by themselves',
    { timeout: 120_000 },
    async () => {
      const asked = requests()
      const left = Object.values(contract).filter(
        ({ operationId, auth, audit }) =>
          auth === 'session' && typeof audit === 'string' && !asked.some(([name]) => name === operationId),
      )
      // Changing a password is throttled and answered like a sign-in; its own room tests it.
      expect(left.map(({ operationId }) => operationId)).toEqual(['changePassword'])
      const before = await stateOf()
      await breakTrail()
      for (const [name, who, input] of asked) {
        const { status, body } = await ward.call(who, name, input)
        expect([name, status >= 500, (body as { code: string }).code]).toEqual([
          name,
          true,
          expect.toBeOneOf(UNAVAILABLE),
        ])
        expect(Object.keys(body as object).toSorted()).toEqual([
          'code',
          'instance',
          'retry',
          'retryAfterMs',
          'status',
          'title',
          'type',
        ])
      }
      // A refusal that cannot be recorded is not told, either.
      const refused = await ward.call(clinic.mallory, 'getConversation', { conversationId })
      expect(refused).toMatchObject({ status: 503, body: { code: 'platform/unavailable' } })
      expect(await stateOf()).toBe(before)
      await mendTrail()
      for (const [name, who, input] of requests()) {
        if (name === 'getAuditEvent') continue
        const { status, body } = await ward.call(who, name, input)
        expect([name, status < 300, status < 300 ? undefined : body]).toEqual([name, true, undefined])
      }
    },
  )

  test('sockets are no way around it: no command, no frame, no new socket', { timeout: 60_000 }, async () => {
    const { grace } = clinic
    // Bob has left in the test before.
    const room = await ward.begin(alice, [grace])
    const [fromAlice, toGrace] = [
      await openTestSocket(ward.url, alice.accessToken),
      await openTestSocket(ward.url, grace.accessToken),
    ]
    await toGrace.command('conversation.sync', {})
    await fromAlice.command('conversation.sync', {})
    const { ticket } = await ward.operations.createSocketTicket(grace.ctx, {})
    // A ticket is used up by the attempt, whatever comes of it.
    const before = await stateOf('socket_ticket')
    await breakTrail()
    const body: Record<CommandOp, object> = {
      'message.send': {
        conversationId: room.conversationId,
        entryId: ward.ids.next(),
        payload: { v: 1, type: 'text', text: 'no' },
      },
      'cursor.move': { conversationId: room.conversationId, readSeq: 1 },
      'typing.signal': { conversationId: room.conversationId, typing: true },
      'presence.set': { state: 'away' },
      'presence.watch': { userIds: [grace.userId] },
      'conversation.sync': {},
      ping: {},
    }
    for (const op of Object.keys(socketCommands) as CommandOp[]) {
      const outcome = await outcomeOf(fromAlice, op, body[op])
      // Typing is counted by the socket and told when it closes; a sign of life touches nobody.
      if (op === 'ping' || op === 'typing.signal') expect(outcome).toBe('answered')
      else expect([op, outcome]).toEqual([op, expect.toBeOneOf(UNAVAILABLE)])
    }
    await expect(connectTestSocket(ward.url, ticket)).rejects.toThrow(/503|500/)
    expect(await stateOf('socket_ticket')).toBe(before)
    await mendTrail()

    // Sent while the trail can be written, delivered while it cannot: no record, no byte.
    await ward.ownerQuery(
      `create or replace function sotto.refuse_audit() returns trigger language plpgsql as $$
       begin if new.class = 'delivery.open' then raise exception 'no'; end if; return new; end $$;
       create trigger refuse_audit before insert on sotto.audit_event for each row execute function sotto.refuse_audit()`,
    )
    await ward.say(alice, room.conversationId, 'not delivered without a record')
    expect(await toGrace.closed).toBe(4503)
    expect(toGrace.frames.filter(({ op }) => op === 'entry')).toEqual([])
    await mendTrail()
    const again = await openTestSocket(ward.url, grace.accessToken)
    const { changed } = await again.command('conversation.sync', {})
    expect(changed.find((one) => one.conversationId === room.conversationId)?.lastSeq).toBe(2)
    await ward.say(alice, room.conversationId, 'delivered again')
    await again.next('entry', ({ entry }) => entry.seq === 3)
    again.close()
    fromAlice.close()
  })

  async function outcomeOf(socket: TestSocket, op: CommandOp, body: object): Promise<string> {
    return socket.command(op, body as never).then(
      () => 'answered',
      (error: { problem: { code: string } }) => error.problem.code,
    )
  }
})
