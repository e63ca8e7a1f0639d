/** A synthetic clinic, made through the same operations as every clinic; nothing in it is about anybody. */

import type { ConversationId, EntryId, Role, UserId } from '@sotto/protocol'
import type { Composition } from '@sotto/server'

export type PersonCtx = Awaited<ReturnType<Composition['identity']['authenticate']>>

export interface Person {
  readonly ctx: PersonCtx
  readonly accessToken: string
}

/** argon2id at its cheapest: these passwords protect nobody, and hashing is not what is measured. */
export const BENCH_ARGON2 = { memoryKiB: 8, passes: 1, lanes: 1 } as const
/** 200 bytes: the size of the messages of every workload. */
export const BODY_TEXT = 'The dressing was changed at noon, the wound is dry. '.repeat(4).slice(0, 200)

const PASSWORD = 'velvet teapot orbit 93'
const AT_ONCE = 24
const origin = { requestId: 'bench-set-up', address: '127.0.0.1' }

/** @param people  how many clinicians, each with a session of their own */
export async function createClinic(composition: Composition, people: number): Promise<readonly Person[]> {
  const { identity, ids } = composition
  const created = await identity.createTenant(origin, {
    slug: `bench-${ids.next<string>().slice(-12)}`,
    name: 'Bench clinic',
    administrator: { login: 'ada', displayName: 'Ada the administrator' },
  })
  const ada = await redeem(composition, created.signInLink.token.reveal())
  return inParallel(people, (index) => createPerson(composition, ada.ctx, `person-${index}`, 'clinician'))
}

async function createPerson(composition: Composition, admin: PersonCtx, login: string, role: Role): Promise<Person> {
  const { operations, ids } = composition
  const userId = ids.next<UserId>()
  await operations.createUser(admin, { userId, login, displayName: `Person ${login}`, role, teamIds: [] })
  const { token } = await operations.createSignInLink(admin, { userId })
  return redeem(composition, token)
}

async function redeem({ operations, identity }: Composition, token: string): Promise<Person> {
  const signedIn = await operations.redeemSignInLink(origin, {
    token,
    password: PASSWORD,
    device: { name: 'Bench device' },
    refreshTokenIn: 'body',
  })
  const accessToken = signedIn.accessToken.reveal()
  return { accessToken, ctx: await identity.authenticate(accessToken, origin) }
}

/** @returns one conversation for each list of members; the first of a list makes it */
export function createConversations(
  { operations, ids }: Composition,
  people: readonly Person[],
  memberships: readonly (readonly number[])[],
): Promise<readonly ConversationId[]> {
  return inParallel(memberships.length, async (index) => {
    const [maker, ...others] = memberships[index]!.map((at) => people[at]!.ctx)
    const conversationId = ids.next<ConversationId>()
    await operations.createConversation(maker!, {
      conversationId,
      kind: others.length === 1 ? 'direct' : 'group',
      mode: 'managed',
      title: others.length === 1 ? null : `Room ${index}`,
      subjectUserId: null,
      history: 'full',
      memberIds: others.map(({ userId }) => userId),
    })
    return conversationId
  })
}

/** Sends `count` messages, some hundreds at once. */
export async function sendMany(
  { operations, ids }: Composition,
  { ctx }: Person,
  conversationId: ConversationId,
  count: number,
): Promise<void> {
  const send = () =>
    operations.sendMessage(ctx, {
      conversationId,
      entryId: ids.next<EntryId>(),
      payload: { v: 1, type: 'text', text: BODY_TEXT },
      header: { priority: 'routine', notify: 'normal' },
    })
  await inParallel(count, send, 512)
}

/** Runs `work` for each number below `count`, some at once. */
export async function inParallel<T>(
  count: number,
  work: (index: number) => Promise<T>,
  atOnce = AT_ONCE,
): Promise<readonly T[]> {
  const results = Array.from<T>({ length: count })
  let next = 0
  const runner = async () => {
    for (let index = next++; index < count; index = next++) results[index] = await work(index)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, runner))
  return results
}
