/** A ward for the tests of the rooms: a real server, a clinic, and words for what the people in it do. */

import {
  operations as contract,
  type AuditEvent,
  type Conversation,
  type ConversationId,
  type EntryId,
  type InputOf,
  type Operation,
  type Operations,
  type ProblemCode,
  type Sent,
  type UserId,
} from '@sotto/protocol'
import { compose, loadConfig, openKeyring } from '../../main/index.ts'
import { openDatabase } from '../../main/open-ground.ts'
import pg from 'pg'
import { expect, vi } from 'vitest'
import { startTestServer, type TestServerOptions } from '../../../../../packages/testkit/src/test-server.ts'
import type { Clinic, Person } from '../../../../../packages/testkit/src/test-server.ts'
import type { DatabaseKind } from '../../../../../packages/testkit/src/databases.ts'
import type { Embedded } from '../../platform/db/embedded.ts'

export type { Clinic, Person } from '../../../../../packages/testkit/src/test-server.ts'

export const isLong = process.env['SOTTO_TEST_LONG'] === '1'

// A server, a database and a clinic take their time where many tests share a small machine.
vi.setConfig({ testTimeout: isLong ? 3_600_000 : 120_000, hookTimeout: 120_000 })

/** What an operation answers over HTTP. */
export interface Answer {
  readonly status: number
  readonly body: unknown
}

export type Ward = Awaited<ReturnType<typeof openWard>>

export async function openWard(kind: DatabaseKind, options: TestServerOptions = {}) {
  const server = await startTestServer(kind, options)
  const { composition, url } = server
  const { operations, commands, ids } = composition
  const owner = server.adminUrl === undefined ? undefined : new pg.Pool({ connectionString: server.adminUrl, max: 1 })
  // The database is dropped before its owner leaves.
  owner?.on('error', () => {})

  /** As the superuser, for looking behind the wall and for breaking things. Names need their schema. */
  async function ownerQuery(sql: string, values: readonly unknown[] = []): Promise<readonly Record<string, unknown>[]> {
    if (owner === undefined) return (composition.db as Embedded).ownerQuery(sql, values)
    const result: pg.QueryResult | pg.QueryResult[] = await owner.query(sql, [...values])
    return (Array.isArray(result) ? result.at(-1)! : result).rows
  }

  /**
   * Resolves when every change is older than the oldest transaction that runs. The horizon of a sync is that of the whole
   * cluster, where other tests write, too: what is newer may be told twice.
   */
  function nothingOlderRuns(): Promise<void> {
    return vi.waitFor(async () => {
      const [row] = await ownerQuery(
        `select sotto.oldest_running_change() > (select max(change) from
           (select change from sotto.conversation union all select change from sotto.member) it) as settled`,
      )
      expect(row).toEqual({ settled: true })
    }, 30_000)
  }

  /** The same operation by HTTP, with the schema, the gate and the record of refusals around it. */
  async function call(who: Person, name: keyof Operations, input: Readonly<Record<string, unknown>>): Promise<Answer> {
    const { method, path, query, body } = contract[name] as Operation
    const rest = new Map(Object.entries(input))
    const filled = path.replace(/:(\w+)/g, (_, key: string) => {
      const value = String(rest.get(key))
      rest.delete(key)
      return encodeURIComponent(value)
    })
    const search = new URLSearchParams()
    for (const key of Object.keys(query?.shape ?? {})) if (rest.has(key)) search.set(key, String(rest.get(key)))
    const hasBody = body !== undefined
    const answer = await fetch(`${url}${filled}${search.size > 0 ? `?${search.toString()}` : ''}`, {
      method,
      headers: {
        authorization: `Bearer ${who.accessToken}`,
        ...(hasBody ? { 'content-type': 'application/json' } : {}),
      },
      ...(hasBody ? { body: JSON.stringify(Object.fromEntries(rest)) } : {}),
    })
    const text = await answer.text()
    return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) }
  }

  /** Expects a refusal. @returns its body without what differs from request to request */
  async function refused(
    who: Person,
    name: keyof Operations,
    input: Readonly<Record<string, unknown>>,
    code: ProblemCode,
  ): Promise<unknown> {
    const { body } = await call(who, name, input)
    expect(body).toMatchObject({ code })
    const { instance: _, ...rest } = body as { readonly instance: string }
    return rest
  }

  /** A conversation that `manager` begins with the others. */
  async function begin(
    manager: Person,
    others: readonly Person[],
    input: Partial<InputOf<Operations['createConversation']>> = {},
  ): Promise<Conversation> {
    return operations.createConversation(manager.ctx, {
      conversationId: ids.next<ConversationId>(),
      kind: 'group',
      mode: 'managed',
      title: null,
      subjectUserId: null,
      history: 'full',
      memberIds: others.map(({ userId }) => userId),
      ...input,
    }) as Promise<Conversation>
  }

  function say(
    who: Person,
    conversationId: ConversationId,
    text: string,
    entryId = ids.next<EntryId>(),
  ): Promise<Sent> {
    return commands.sendMessage(who.ctx, {
      conversationId,
      entryId,
      payload: { v: 1, type: 'text', text },
      header: { priority: 'routine', notify: 'normal' },
    })
  }

  /** What the compliance officer finds, oldest first; her own searches are left out. */
  async function trail(
    clinic: Clinic,
    filter: Partial<InputOf<Operations['listAuditEvents']>> = {},
  ): Promise<readonly AuditEvent[]> {
    const found: AuditEvent[] = []
    let after: string | undefined
    do {
      const input = { limit: 200, ...filter, ...(after === undefined ? {} : { after }) }
      const page = (await operations.listAuditEvents(clinic.cora.ctx, input)) as {
        items: AuditEvent[]
        next: string | null
      }
      found.push(...page.items)
      after = page.next ?? undefined
    } while (after !== undefined)
    return found.filter(({ action, outcome }) => action !== 'audit-event.list' || outcome !== 'success').toReversed()
  }

  /** A second node on the same database: it shares nothing with the first one's memory. */
  async function startNode(db = composition.db) {
    const config = loadConfig(server.env)
    const keyring = await openKeyring(config, { mayCreate: false })
    return compose({ config, db, keyring, log: composition.log, deploymentId: 'test' })
  }

  /** Connections for a node of its own, so that its transactions run beside the first one's. PostgreSQL only. */
  async function openConnections() {
    const config = loadConfig(server.env)
    const keyring = await openKeyring(config, { mayCreate: false })
    return openDatabase(config, keyring, composition.log, () => {})
  }

  return {
    startNode,
    openConnections,
    kind,
    server,
    composition,
    operations,
    commands,
    ids,
    url,
    ownerQuery,
    nothingOlderRuns,
    call,
    refused,
    begin,
    say,
    trail,
    createClinic: server.createClinic,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await owner?.end()
    },
  }
}

/** Expects that the trail has exactly one such event, made by this person, from this device and address, for this purpose. */
export function expectAct(
  events: readonly AuditEvent[],
  who: Person,
  expected: {
    readonly action: AuditEvent['action']
    readonly outcome?: AuditEvent['outcome']
    readonly code?: string | null
    readonly subject?: UserId | null
    readonly resourceId?: string
    readonly details?: AuditEvent['details']
  },
): AuditEvent {
  const { action, outcome = 'success', code = null, subject = null, resourceId, details } = expected
  const found = events.filter(
    (event) =>
      event.action === action &&
      event.outcome === outcome &&
      event.code === code &&
      event.actor.userId === who.userId &&
      (resourceId === undefined || event.resource?.id === resourceId) &&
      (details === undefined || JSON.stringify(event.details) === JSON.stringify({ ...event.details, ...details })),
  )
  expect(
    found,
    `${who.login} ${action} ${outcome}; there were: ${JSON.stringify(events.map((event) => [event.action, event.outcome, event.code, event.details]))}`,
  ).toHaveLength(1)
  const { ctx } = who
  const event = found[0]!
  expect(event).toMatchObject({
    actor: { userId: who.userId, role: who.role, deviceId: ctx.deviceId, sessionId: ctx.sessionId },
    subjectUserId: subject,
    purpose: ctx.purpose,
    count: 1,
  })
  expect(event.requestId).not.toBe('')
  return event
}

/** Every instance of a promise settles; what failed is told by its code. */
export async function outcomes<T>(acts: readonly Promise<T>[]): Promise<readonly (T | string)[]> {
  const settled = await Promise.allSettled(acts)
  return settled.map((one) =>
    one.status === 'fulfilled' ? one.value : ((one.reason as { code?: string }).code ?? (one.reason as Error).name),
  )
}
