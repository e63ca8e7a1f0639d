import type { ConversationId, EntryId, TeamId, UserId } from '@sotto/protocol'
import type { Composition } from '@sotto/server'
import { DEMO_PASSWORD, DEMO_TEAMS, DEMO_TENANT, demoPeople, type DemoConversation, type DemoPerson } from './clinic.ts'

// Each step looks for what an interrupted run has left, when there was one, and makes the rest.

export type Ctx = Awaited<ReturnType<Composition['identity']['authenticate']>>

export const enter = { requestId: 'seed-demo', address: null }
const how = { password: DEMO_PASSWORD, device: { name: 'Demo set-up' }, refreshTokenIn: 'body' } as const
/** One page holds all of the clinic. */
const page = { limit: 200 }

/** Sets the demo password by a one-time link, as every new person does. */
export async function redeem({ operations, identity }: Composition, token: string): Promise<Ctx> {
  const signedIn = await operations.redeemSignInLink(enter, { token, ...how })
  return identity.authenticate(signedIn.accessToken.reveal(), enter)
}

export async function signIn({ operations, identity }: Composition, login: string): Promise<Ctx> {
  const signedIn = await operations.createSession(enter, { tenant: DEMO_TENANT.slug, login, ...how })
  return identity.authenticate(signedIn.accessToken.reveal(), enter)
}

/** @returns everybody but the administrator, signed in, by login */
export async function createPeople(
  composition: Composition,
  admin: Ctx,
  isResumed: boolean,
): Promise<ReadonlyMap<string, Ctx>> {
  const { operations, ids } = composition
  const teams = new Map<string, TeamId>()
  const users = new Map<string, UserId>()
  if (isResumed) {
    for (const { name, teamId } of (await operations.listTeams(admin, page)).items) teams.set(name, teamId)
    for (const { displayName, userId } of (await operations.listUsers(admin, page)).items)
      users.set(displayName, userId)
  }
  for (const name of DEMO_TEAMS) {
    if (teams.has(name)) continue
    const { teamId } = await operations.createTeam(admin, { teamId: ids.next<TeamId>(), name })
    teams.set(name, teamId)
  }
  const people = new Map<string, Ctx>()
  for (const person of demoPeople) {
    const userId = users.get(person.name) ?? (await createPerson(composition, admin, person, teams))
    const link = await operations.createSignInLink(admin, { userId })
    people.set(person.login, await redeem(composition, link.token))
  }
  return people
}

async function createPerson(
  { operations, ids }: Composition,
  admin: Ctx,
  { login, name, role, team }: DemoPerson,
  teams: ReadonlyMap<string, TeamId>,
): Promise<UserId> {
  const teamIds = team === undefined ? [] : [teams.get(team)!]
  const user = await operations.createUser(admin, {
    userId: ids.next<UserId>(),
    login,
    displayName: name,
    role,
    teamIds,
  })
  return user.userId
}

/** Has the conversation, from its beginning or from where it stopped. */
export async function hold(
  composition: Composition,
  people: ReadonlyMap<string, Ctx>,
  conversation: DemoConversation,
  isResumed: boolean,
): Promise<void> {
  const { operations, ids } = composition
  const maker = people.get(conversation.members[0]!)!
  const found = isResumed ? await find(composition, maker, conversation) : undefined
  const conversationId = found ?? (await create(composition, people, conversation))
  const said = found === undefined ? 0 : await countSaid(composition, maker, found)
  for (const [login, text] of conversation.says.slice(said)) {
    const ctx = people.get(login)!
    const sent = await operations.sendMessage(ctx, {
      conversationId,
      entryId: ids.next<EntryId>(),
      payload: { v: 1, type: 'text', text },
      header: { priority: 'routine', notify: 'normal' },
    })
    await operations.moveCursor(ctx, { conversationId, readSeq: sent.seq })
  }
}

async function create(
  { operations, ids }: Composition,
  people: ReadonlyMap<string, Ctx>,
  { kind, title, members, about }: DemoConversation,
): Promise<ConversationId> {
  const [maker, ...others] = members.map((login) => people.get(login)!)
  const { conversationId } = await operations.createConversation(maker!, {
    conversationId: ids.next<ConversationId>(),
    kind,
    mode: 'managed',
    title,
    subjectUserId: about === undefined ? null : people.get(about)!.userId,
    history: 'full',
    memberIds: others.map(({ userId }) => userId),
  })
  return conversationId
}

/** By kind and title: nobody in the clinic has two of one kind and title. */
async function find({ operations }: Composition, maker: Ctx, { kind, title }: DemoConversation) {
  const { items } = await operations.listConversations(maker, page)
  return items.find((one) => one.kind === kind && one.title === title)?.conversationId
}

async function countSaid({ operations }: Composition, ctx: Ctx, conversationId: ConversationId): Promise<number> {
  const { items } = await operations.listEntries(ctx, { conversationId, ...page })
  return items.filter(({ kind }) => kind === 'application').length
}
