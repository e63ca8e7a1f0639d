import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ConversationId, EntryId, TeamId, UserId } from '@sotto/protocol'
import type { Composition } from '@sotto/server'
import {
  DEMO_ADMINISTRATOR,
  DEMO_PASSWORD,
  DEMO_TEAMS,
  DEMO_TENANT,
  demoConversations,
  demoPeople,
  type DemoConversation,
  type DemoPerson,
} from './clinic.ts'

/** What `demo.json` in the data folder says, so that people and programs can sign in. */
export interface Demo {
  readonly tenant: string
  readonly password: string
  readonly people: readonly { readonly login: string; readonly name: string; readonly role: string }[]
}

export interface SeedOptions {
  readonly dataDir: string
  onProgress(step: string): void
}

const origin = { requestId: 'seed-demo', address: null }
const body = { refreshTokenIn: 'body' as const }
type Ctx = Awaited<ReturnType<Composition['identity']['authenticate']>>

/**
 * Makes the demo clinic, once: through the same operations as everybody, so that its history has its audit trail. It is
 * there when `demo.json` is; a seed that was interrupted goes on with a tenant of another name.
 */
export async function seedDemo(composition: Composition, options: SeedOptions): Promise<Demo> {
  const path = join(options.dataDir, 'demo.json')
  const known = await readFile(path, 'utf8').catch(() => undefined)
  if (known !== undefined) return JSON.parse(known) as Demo
  options.onProgress('Making the demo clinic (synthetic people only) …')
  const slug = await findFreeSlug(composition)
  const admin = await createClinic(composition, slug)
  const people = await createPeople(composition, admin)
  options.onProgress(`${people.size + 1} people in ${DEMO_TEAMS.length} teams`)
  for (const conversation of demoConversations) await hold(composition, people, conversation)
  options.onProgress(`${demoConversations.length} conversations with some history`)
  for (const ctx of [admin, ...people.values()])
    await composition.operations.endSession(ctx, { sessionId: ctx.sessionId })
  const demo: Demo = {
    tenant: slug,
    password: DEMO_PASSWORD,
    people: [DEMO_ADMINISTRATOR, ...demoPeople].map(({ login, name, role }) => ({ login, name, role })),
  }
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 })
  await writeFile(path, `${JSON.stringify(demo, null, 2)}\n`, { mode: 0o600 })
  return demo
}

async function findFreeSlug({ identity }: Composition): Promise<string> {
  for (let number = 1; ; number++) {
    const slug = number === 1 ? DEMO_TENANT.slug : `${DEMO_TENANT.slug}-${number}`
    if ((await identity.findTenantId(slug)) === undefined) return slug
  }
}

async function createClinic(composition: Composition, slug: string): Promise<Ctx> {
  const { login, name } = DEMO_ADMINISTRATOR
  const created = await composition.identity.createTenant(origin, {
    slug,
    name: DEMO_TENANT.name,
    administrator: { login, displayName: name },
  })
  return redeem(composition, created.signInLink.token.reveal())
}

/** Sets the demo password by a one-time link, as every new person does. */
async function redeem({ operations, identity }: Composition, token: string): Promise<Ctx> {
  const signedIn = await operations.redeemSignInLink(origin, {
    token,
    password: DEMO_PASSWORD,
    device: { name: 'Demo set-up' },
    ...body,
  })
  return identity.authenticate(signedIn.accessToken.reveal(), origin)
}

async function createPeople(composition: Composition, admin: Ctx): Promise<ReadonlyMap<string, Ctx>> {
  const { operations, ids } = composition
  const teamIds = new Map<string, TeamId>()
  for (const name of DEMO_TEAMS) {
    const team = await operations.createTeam(admin, { teamId: ids.next<TeamId>(), name })
    teamIds.set(name, team.teamId)
  }
  const people = new Map<string, Ctx>()
  for (const person of demoPeople) people.set(person.login, await createPerson(composition, admin, person, teamIds))
  return people
}

async function createPerson(
  composition: Composition,
  admin: Ctx,
  person: DemoPerson,
  teamIds: ReadonlyMap<string, TeamId>,
): Promise<Ctx> {
  const { operations, ids } = composition
  const userId = ids.next<UserId>()
  const team = person.team === undefined ? undefined : teamIds.get(person.team)
  await operations.createUser(admin, {
    userId,
    login: person.login,
    displayName: person.name,
    role: person.role,
    teamIds: team === undefined ? [] : [team],
  })
  const link = await operations.createSignInLink(admin, { userId })
  return redeem(composition, link.token)
}

async function hold(
  { operations, ids }: Composition,
  people: ReadonlyMap<string, Ctx>,
  conversation: DemoConversation,
): Promise<void> {
  const conversationId = ids.next<ConversationId>()
  const [maker, ...others] = conversation.members.map((login) => people.get(login)!)
  await operations.createConversation(maker!, {
    conversationId,
    kind: conversation.kind,
    mode: 'managed',
    title: conversation.title,
    subjectUserId: conversation.about === undefined ? null : people.get(conversation.about)!.userId,
    history: 'full',
    memberIds: others.map(({ userId }) => userId),
  })
  for (const [login, text] of conversation.says) {
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
