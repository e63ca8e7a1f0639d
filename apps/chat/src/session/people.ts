import type { Live, Member, Role, Sotto, User } from '@sotto/sdk'
import { createCell } from '../platform/cell.ts'
import { listAll } from './list-all.ts'

export interface Person {
  readonly userId: string
  readonly displayName: string
  readonly role: Role
}

export interface PeopleSnapshot {
  readonly byId: ReadonlyMap<string, Person>
  /** Who is in a conversation, as far as it was asked for. */
  readonly members: ReadonlyMap<string, readonly Member[]>
}

/** Names of people, asked for once, so that a list of conversations can show them. In memory only: names are PHI. */
export interface People extends Live<PeopleSnapshot> {
  /** Who is in this conversation, asked again when `version` is another one. */
  wantMembers(conversationId: string, version: number): void
  /** Members that are known from elsewhere. */
  learn(conversationId: string, members: readonly Member[]): void
  /** The name of someone who is no member any more. */
  wantPerson(userId: string): void
  /** All users that the caller may see. @throws SottoProblem */
  listUsers(): Promise<readonly User[]>
}

const PARALLEL = 4

export function createPeople(sotto: Sotto, me: User): People {
  const cell = createCell<PeopleSnapshot>({ byId: new Map([[me.userId, me]]), members: new Map() })
  const asked = new Map<string, number>()
  const run = createQueue(PARALLEL)

  function know(people: readonly Person[]): ReadonlyMap<string, Person> {
    const byId = new Map(cell.getSnapshot().byId)
    for (const person of people) byId.set(person.userId, person)
    return byId
  }

  function learn(conversationId: string, members: readonly Member[]): void {
    const known = cell.getSnapshot().members
    if (known.get(conversationId) === members) return
    cell.set({ byId: know(members), members: new Map(known).set(conversationId, members) })
  }

  /** Whom direct conversations are with is told with them, by the name that they have now. */
  function learnCounterparts(): void {
    const { byId } = cell.getSnapshot()
    const { items } = sotto.conversations.getSnapshot()
    // Newest first: what an older summary calls somebody gives way.
    const told = new Map(
      items
        .toReversed()
        .flatMap(({ summary: { counterpart } }) => (counterpart === null ? [] : [[counterpart.userId, counterpart]])),
    )
    const news = [...told.values()].filter(({ userId, displayName }) => byId.get(userId)?.displayName !== displayName)
    if (news.length > 0) cell.set({ ...cell.getSnapshot(), byId: know(news) })
  }
  sotto.conversations.subscribe(learnCounterparts)
  learnCounterparts()

  /** Asks once; what failed is asked again by the next one who wants it. */
  function ask(key: string, version: number, task: () => Promise<void>): void {
    if (asked.get(key) === version) return
    asked.set(key, version)
    void run(task).catch(() => asked.delete(key))
  }

  return {
    getSnapshot: cell.getSnapshot,
    subscribe: cell.subscribe,
    learn,
    wantMembers(conversationId, version) {
      ask(conversationId, version, async () => {
        learn(conversationId, await sotto.conversation(conversationId).members())
      })
    },
    wantPerson(userId) {
      ask(userId, 0, async () => {
        const user = await sotto.api.getUser({ userId })
        cell.set({ ...cell.getSnapshot(), byId: know([user]) })
      })
    },
    async listUsers() {
      const users = await listAll((page) => sotto.api.listUsers({ limit: 200, ...page }))
      cell.set({ ...cell.getSnapshot(), byId: know(users) })
      return users
    },
  }
}

/** Runs a few tasks at a time, in the order in which they came. */
function createQueue(parallel: number): (task: () => Promise<void>) => Promise<void> {
  const waiting: (() => void)[] = []
  let running = 0
  return async (task) => {
    if (running >= parallel) await new Promise<void>((resolve) => waiting.push(resolve))
    running += 1
    try {
      await task()
    } finally {
      running -= 1
      waiting.shift()?.()
    }
  }
}
