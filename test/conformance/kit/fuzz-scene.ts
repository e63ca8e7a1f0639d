/** A clinic to be fuzzed: callers in several roles, things to aim at, and victims that nobody misses. */

import type { ConversationId, EntryId, UserId } from '@sotto/protocol'
import { startTestServer, TEST_PASSWORD, type Clinic, type DatabaseKind, type TestServer } from '@sotto/testkit'
import {
  handOf,
  hire,
  openWard,
  origin,
  signIn,
  withExpiredToken,
  type Hand,
  type ProvenDevice,
  type Ward,
} from './clinic.ts'
import type { Pools } from './arbitraries.ts'
import { openOwner, type Owner } from './owner.ts'

export const callerNames = [
  'ada',
  'cora',
  'alice',
  'bob',
  'robot',
  'mallory',
  'foreigner',
  'expired',
  'garbled',
  'nobody',
] as const
export type CallerName = (typeof callerNames)[number]

export interface FuzzScene extends AsyncDisposable {
  readonly server: TestServer
  readonly owner: Owner
  readonly clinic: Clinic
  readonly ward: Ward
  readonly pools: Pools
  readonly callers: Map<CallerName, Hand>
  tokenOf(name: CallerName): string | undefined
  /** Undoes what successes have done to the callers: tokens grow old, members leave, conversations close. */
  refresh(): Promise<void>
}

const insiders = ['ada', 'cora', 'alice', 'bob', 'robot'] as const

export async function openFuzzScene(kind: DatabaseKind): Promise<FuzzScene> {
  await using stack = new AsyncDisposableStack()
  const server = stack.use(await startTestServer(kind))
  const owner = stack.use(await openOwner(server))
  const [clinic, elsewhere] = [await server.createClinic(), await server.createClinic()]
  const victims = [
    await hire(server, clinic, 'victim-clinician', 'clinician'),
    await hire(server, clinic, 'victim-patient', 'patient'),
  ]
  const ward = await openWard(server, clinic, [clinic.carmen.userId, ...insiders.map((name) => clinic[name].userId)])
  const other = await openWard(server, elsewhere, [elsewhere.carmen.userId])
  const callers = new Map<CallerName, Hand>(insiders.map((name) => [name, handOf(clinic, clinic[name])]))
  callers.set('mallory', handOf(clinic, clinic.mallory))
  callers.set('foreigner', handOf(elsewhere, elsewhere.alice))
  callers.set('expired', await withExpiredToken(server, handOf(clinic, clinic.alice)))
  const devices = new Map<UserId, ProvenDevice>()
  const pools = await poolsOf(server, clinic, elsewhere, ward, other, victims)
  const resources = stack.move()
  return {
    server,
    owner,
    clinic,
    ward,
    pools,
    callers,
    tokenOf: (name) => (name === 'garbled' ? 'a'.repeat(400) : callers.get(name)?.accessToken),
    refresh: () => refresh(server, ward, callers, devices, owner),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

async function refresh(
  server: TestServer,
  { conversationId, host }: Ward,
  callers: Map<CallerName, Hand>,
  devices: Map<UserId, ProvenDevice>,
  owner: Owner,
): Promise<void> {
  // Where the fuzzer has made a second administrator, the first may have taken her own role or sent herself away.
  for (const { userId, role } of callers.values())
    await owner.query('update sotto.app_user set active = true, role = $2 where user_id = $1', [userId, role])
  for (const [name, hand] of callers) if (name !== 'expired') callers.set(name, await signInAgain(hand))
  const hand = await signInAgain(host)
  const userIds = insiders.map((name) => callers.get(name)!.userId)
  const { operations } = server.composition
  await operations.updateConversation(hand.ctx, { conversationId, closed: false })
  await operations.addMember(hand.ctx, { conversationId, userIds, memberRole: 'participant' })

  /** At the device of last time: the fuzzer guesses at these logins, which makes everybody wait who comes with a new one. */
  async function signInAgain(who: Hand): Promise<Hand> {
    const signedIn = await signIn(server, who, devices.get(who.userId))
    devices.set(who.userId, signedIn.device)
    return signedIn.hand
  }
}

async function poolsOf(
  server: TestServer,
  clinic: Clinic,
  elsewhere: Clinic,
  ward: Ward,
  other: Ward,
  victims: readonly Hand[],
): Promise<Pools> {
  const { operations, ids } = server.composition
  const { items } = await operations.listAuditEvents(clinic.cora.ctx, { limit: 5 })
  const { token } = await operations.syncConversations(clinic.alice.ctx, { limit: 1 })
  const used = await signIn(server, victims[0]!)
  await operations.refreshSession(origin, { refreshToken: used.refreshToken, refreshTokenIn: 'body' })
  const { items: entries } = await operations.listEntries(clinic.grace.ctx, {
    conversationId: ward.conversationId,
    limit: 5,
  })
  const userIds: readonly UserId[] = [clinic.carmen.userId, elsewhere.bob.userId, ...victims.map((one) => one.userId)]
  const entryIds = Array.from({ length: 40 }, () => ids.next<EntryId>())
  return {
    conversationId: [ward.conversationId, ward.conversationId, other.conversationId, ids.next<ConversationId>()],
    userId: [...userIds, '@me'],
    subjectUserId: [clinic.carmen.userId, elsewhere.carmen.userId, null],
    actorUserId: userIds,
    userIds: [userIds.join(','), `${userIds[0]}`, '@me', userIds.slice(0, 2)],
    teamId: [ward.teamId, other.teamId, ids.next()],
    teamIds: [[ward.teamId], [other.teamId], []],
    sessionId: [...victims.map((one) => one.ctx.sessionId), elsewhere.bob.ctx.sessionId],
    deviceId: [...victims.map((one) => one.ctx.deviceId), elsewhere.bob.ctx.deviceId],
    auditEventId: items.map((event) => event.auditEventId),
    resourceId: [ward.conversationId, '\u0000', clinic.carmen.userId],
    entryId: [...entries.map((entry) => entry.entryId), ...entryIds],
    token: [token, used.refreshToken, 'x'.repeat(40)],
    refreshToken: [used.refreshToken, 'x'.repeat(66)],
    deviceSecret: [used.refreshToken],
    after: [userIds[0], 'AaICVRTAfeenpHmyESROskA', items[0]!.auditEventId, 'ffffffff-ffff-7fff-bfff-ffffffffffff'],
    tenant: [clinic.slug, elsewhere.slug, 'nowhere'],
    login: ['alice', 'victim-clinician', 'nobody-of-that-name'],
    password: [TEST_PASSWORD, 'wrong'],
    currentPassword: ['wrong', ' '],
    readSeq: [0, 1, 2, 3, 1e9],
    deliveredSeq: [0, 1, 2, Number.MAX_SAFE_INTEGER],
    limit: [1, 2, 50, 200],
    op: ['ping'],
  }
}
