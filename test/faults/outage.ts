/** A server in this process whose database can be taken away and given back, and what must be said meanwhile. */

import { existsSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import {
  CommandRefused,
  startPostgresServer,
  startTestServer,
  type DatabaseKind,
  type TestServer,
  type TestServerOptions,
} from '@sotto/testkit'
import { expect } from 'vitest'
import type { Embedded } from '../../apps/server/src/platform/db/embedded.ts'

export interface BreakableServer extends AsyncDisposable {
  readonly server: TestServer
  /** Resolves when the database is gone. It stays away until `startDatabase`. */
  stopDatabase(): Promise<void>
  startDatabase(): Promise<void>
}

export async function startBreakableServer(
  kind: DatabaseKind,
  options: TestServerOptions = {},
): Promise<BreakableServer> {
  return kind === 'pglite' ? startOnEmbedded(options) : startOnPostgres(options)
}

async function startOnPostgres(options: TestServerOptions): Promise<BreakableServer> {
  await using stack = new AsyncDisposableStack()
  const postgres = stack.use(await startPostgresServer())
  const server = stack.use(await startTestServer('postgres', { ...options, postgres }))
  const moved = stack.move()
  return {
    server,
    stopDatabase: () => postgres.stop(),
    startDatabase: () => postgres.start(),
    async [Symbol.asyncDispose]() {
      if (!postgres.isRunning) await postgres.start()
      await moved.disposeAsync()
    },
  }
}

/**
 * Without its control file the engine can write no checkpoint, which PostgreSQL answers with a PANIC, and start no more: the
 * engine dies in earnest, and stays dead until the file is back.
 */
async function startOnEmbedded(options: TestServerOptions): Promise<BreakableServer> {
  const server = await startTestServer('pglite', options)
  const dataDir = server.env['SOTTO_DATA_DIR']!
  const file = join(dataDir, 'database', 'global', 'pg_control')
  const away = join(dataDir, 'pg_control')
  const startDatabase = async () => void (existsSync(away) && (await rename(away, file)))
  return {
    server,
    async stopDatabase() {
      await rename(file, away)
      await expect((server.composition.db as Embedded).ownerQuery('checkpoint')).rejects.toThrow()
    },
    startDatabase,
    async [Symbol.asyncDispose]() {
      await startDatabase()
      await server[Symbol.asyncDispose]()
    },
  }
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

export async function ask(
  url: string,
  method: string,
  path: string,
  options: { readonly accessToken?: string | undefined; readonly body?: unknown; readonly headers?: object } = {},
): Promise<Answer> {
  const { accessToken, body } = options
  const answer = await fetch(url + path, {
    method,
    headers: {
      ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    signal: AbortSignal.timeout(60_000),
  })
  const text = await answer.text()
  return {
    status: answer.status,
    headers: answer.headers,
    body: text === '' ? undefined : (JSON.parse(text) as unknown),
  }
}

/** RFC 9457, without a word of anything else. */
export const unavailable = {
  type: '/reference/problems#platform-unavailable',
  title: expect.any(String) as string,
  status: 503,
  instance: expect.any(String) as string,
  code: 'platform/unavailable',
  retry: 'after-delay',
  retryAfterMs: expect.any(Number) as number,
}

export function expectUnavailable({ status, headers, body }: Answer, what: string): void {
  expect({ what, status, body }).toEqual({ what, status: 503, body: unavailable })
  expect(headers.get('content-type'), what).toMatch(/^application\/problem\+json/)
  expect(Number(headers.get('retry-after')), what).toBeGreaterThan(0)
}

export async function expectRefusedAsUnavailable(command: Promise<unknown>, what: string): Promise<void> {
  const problem = await command.then(
    (result) => ({ result }),
    (error: unknown) => (error instanceof CommandRefused ? error.problem : error),
  )
  expect({ what, problem }).toEqual({ what, problem: unavailable })
}

/** Tries until it works; what it meets on the way is `platform/unavailable` and nothing else. */
export async function untilRecovered<T>(attempt: () => Promise<T>, msMax = 60_000): Promise<T> {
  for (const deadline = Date.now() + msMax; ;) {
    try {
      return await attempt()
    } catch (error) {
      if (Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
