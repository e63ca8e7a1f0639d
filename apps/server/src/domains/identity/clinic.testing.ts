/** A clinic for the tests of this room: Ada administers, Alice is a nurse, Bob a patient, Mallory means no good. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  limitDefaults,
  type AuditEvent,
  type DeviceId,
  type ProblemCode,
  type Role,
  type TeamId,
  type TenantId,
  type UserId,
} from '@sotto/protocol'
import { expect } from 'vitest'
import { openTestDatabase, type DatabaseKind } from '../../../../../packages/testkit/src/databases.ts'
import { createLocalKeyring } from '../../adapters/keyring-local/local-keyring.ts'
import { createInProcessBus } from '../../platform/bus/bus.ts'
import { SYSTEM_TENANT_ID, type Ctx, type Origin } from '../../platform/context/context.ts'
import { createSealer } from '../../platform/crypto/seal.ts'
import type { Tx } from '../../platform/db/tx.ts'
import { createIds, systemRandom } from '../../platform/ids/ids.ts'
import { Problem } from '../../platform/problem/problem.ts'
import { instant, systemClock, type Clock } from '../../platform/time/clock.ts'
import { createAccess, type FactSources } from '../access/index.ts'
import { createAudit } from '../audit/index.ts'
import { readAuditEvent } from '../audit/list-audit-events.ts'
import {
  createKeyCache,
  createSubjectKey,
  createTenantKeys,
  destroySubjectKey,
  getAuditKey,
  getDirectoryKey,
  getIndexKey,
  hasSubjectKey,
  type KeysDeps,
} from '../keys/index.ts'
import { createAccessTokens } from './access-tokens.ts'
import { createActivity } from './activity.ts'
import { composeIdentity } from '../../main/compose-identity.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { createPasswordHasher } from './password-hasher.ts'
import { createSigningKeys } from './signing-keys.ts'
import type { SignedInResult } from './signed-in.model.ts'

export interface FakeClock extends Clock {
  pass(ms: number): void
}

/** It starts in the present: the database deletes nothing that its own clock does not call expired. */
export function createFakeClock(): FakeClock {
  const startMs = systemClock.now()
  let passedMs = 0
  return {
    now: () => instant(startMs + passedMs),
    monotonicMs: () => passedMs,
    pass: (ms) => void (passedMs += ms),
  }
}

/** Passwords take a minute of a small machine's life otherwise. */
const cheapArgon2 = { memoryKiB: 64, passes: 1, lanes: 1 }

export const MINUTE_MS = 60_000
export const WARD: Origin = { requestId: 'request-ward', address: '10.1.2.3' }
export const ELSEWHERE: Origin = { requestId: 'request-elsewhere', address: '203.0.113.66' }

export async function openClinic(kind: DatabaseKind) {
  const folder = mkdtempSync(join(tmpdir(), 'sotto-identity-'))
  const database = await openTestDatabase(kind)
  const { db } = database
  const clock = createFakeClock()
  const random = systemRandom
  const ids = createIds(clock, random)
  const keyringFolder = { folder: join(folder, 'keyring'), dataDir: join(folder, 'data') }
  const keyring = await createLocalKeyring({ ...keyringFolder, random, clock })
  const sealer = createSealer({ random, clock })
  const keysDeps: KeysDeps = { keyring, sealer, cache: createKeyCache(clock), random, clock }
  const keys = {
    getDirectoryKey: (...[access, input]: Tail<typeof getDirectoryKey>) => getDirectoryKey(keysDeps, access, input),
    getIndexKey: (...[access, tenantId, purpose]: Tail<typeof getIndexKey>) =>
      getIndexKey(keysDeps, access, tenantId, purpose),
    getAuditKey: (access: Tail<typeof getAuditKey>[0], tenantId: TenantId, subjectUserId: UserId | null) =>
      getAuditKey(keysDeps, access, { tenantId, subjectUserId }),
    hasSubjectKey: (...[subject]: Tail<typeof hasSubjectKey>) => hasSubjectKey(keysDeps, subject),
    createSubjectKey: (...[subject]: Tail<typeof createSubjectKey>) => createSubjectKey(keysDeps, subject),
    createTenantKeys: (tx: Tx, tenantId: TenantId) => createTenantKeys(keysDeps, tx, tenantId),
  }
  await db.withTx(inTenant(SYSTEM_TENANT_ID), (tx) => createTenantKeys(keysDeps, tx, SYSTEM_TENANT_ID))

  const audit = createAudit({ clock, random, ids, sealer, keys, db })
  const fellows = new Map<UserId, readonly UserId[]>()
  const facts: FactSources = {
    getSessionFacts: (tx, ctx) => startNode.current.getSessionFacts(tx, ctx),
    findMembershipFacts: async () => undefined,
    listFellowMemberIds: async (_tx, ctx) => fellows.get(ctx.userId) ?? [],
  }
  const busErrors: unknown[] = []
  const bus = createInProcessBus((error) => busErrors.push(error))
  const access = createAccess({ clock, facts })
  const options = { db, clock, random, ids, bus, limits: limitDefaults, access, audit, keys, sealer }
  /** A node of the deployment: it shares keyring and database with the others, and no memory. */
  const startNode = Object.assign(
    () =>
      composeIdentity({
        ...options,
        signingSealKey: keyring.derive('identity/token-signing'),
        pepper: keyring.derive('identity/password'),
        deploymentId: 'test',
        argon2: cheapArgon2,
      }),
    { current: undefined as unknown as ReturnType<typeof composeIdentity> },
  )
  const identity = startNode()
  startNode.current = identity
  // The same as the node's, for tests that call an operation with one thing exchanged.
  const pepper = keyring.derive('identity/password')
  const sealingKey = keyring.derive('identity/token-signing')
  const signingKeys = createSigningKeys({ db, clock, ids, sealer, audit, sealingKey })
  const { accessTokenSeconds } = limitDefaults
  const deps: IdentityDeps = {
    ...options,
    passwords: createPasswordHasher({ random, pepper, parameters: cheapArgon2 }),
    accessTokens: createAccessTokens({ issuer: 'urn:sotto:test', clock, signingKeys, accessTokenSeconds }),
    activity: createActivity(),
  }

  async function createTenant(slug: string) {
    const administrator = { login: `ada@${slug}.example`, displayName: 'Ada' }
    const created = await identity.createTenant(WARD, { slug, name: `Clinic ${slug}`, administrator })
    const ada = await identity.routes.redeemSignInLink(WARD, {
      token: created.signInLink.token.reveal(),
      password: passwordOf('Ada'),
      device: { name: 'Ada’s laptop' },
      refreshTokenIn: 'body',
    })
    return { ...created, slug, ada, ctx: await ctxOf(ada) }
  }

  function ctxOf(signedIn: SignedInResult, origin: Origin = WARD): Promise<Ctx> {
    return identity.authenticate(signedIn.accessToken.reveal(), origin)
  }

  /** Ada brings a person in, who sets a password and is signed in. */
  async function hire(
    tenant: { readonly ctx: Ctx; readonly slug: string },
    name: string,
    role: Role,
    teamIds: TeamId[] = [],
  ) {
    const userId = ids.next<UserId>()
    const login = `${name.toLowerCase()}@${tenant.slug}.example`
    await identity.routes.createUser(tenant.ctx, { userId, login, displayName: name, role, teamIds })
    const { token } = await identity.routes.createSignInLink(tenant.ctx, { userId })
    const input = {
      token,
      password: passwordOf(name),
      device: { name: `${name}’s phone` },
      refreshTokenIn: 'body',
    } as const
    const signedIn = await identity.routes.redeemSignInLink(WARD, input)
    return { userId, login, signedIn, ctx: await ctxOf(signedIn), device: deviceOf(signedIn) }
  }

  function signIn(
    who: { readonly tenant?: string | undefined; readonly login: string; readonly password: string },
    how: { readonly device?: ReturnType<typeof deviceOf>; readonly origin?: Origin } = {},
  ): Promise<SignedInResult> {
    const { device, origin = WARD } = how
    const input = { ...who, device: { name: 'A browser', ...device }, refreshTokenIn: 'body' } as const
    return identity.routes.createSession(origin, input as Parameters<typeof identity.routes.createSession>[1])
  }

  function refresh(signedIn: SignedInResult, node = identity): Promise<SignedInResult> {
    return node.routes.refreshSession(WARD, { refreshToken: signedIn.refreshToken.reveal(), refreshTokenIn: 'body' })
  }

  /** What the trail of a tenant says, in the order of writing: a fake clock gives many events the same instant. */
  async function readAudit(tenantId: TenantId): Promise<readonly AuditEvent[]> {
    const rows = await database.ownerQuery(
      `select e.audit_event_id, e.class, e.outcome, e.commitment, b.body_encrypted, b.subject_user_id
       from sotto.audit_event e join sotto.audit_body b using (tenant_id, created_at, audit_event_id)
       where tenant_id = $1 order by e.xmin::text::bigint, e.ctid`,
      [tenantId],
    )
    const bytes = (value: unknown) => Buffer.from(value as Uint8Array)
    return db.withTx(inTenant(tenantId), (tx) =>
      Promise.all(
        rows.map((row) => {
          const columns = { commitment: bytes(row['commitment']), body_encrypted: bytes(row['body_encrypted']) }
          const stored = { ...row, ...columns } as unknown as Parameters<typeof readAuditEvent>[3]
          return readAuditEvent({ clock, random, ids, sealer, keys }, tx, { tenantId }, stored)
        }),
      ),
    )
  }

  return {
    clock,
    db,
    database,
    ids,
    bus,
    identity,
    routes: identity.routes,
    startNode,
    sealer,
    audit,
    deps,
    pepper,
    sealingKey,
    eraseSubject: (tenantId: TenantId, subjectUserId: UserId) =>
      destroySubjectKey(keysDeps, { tenantId, subjectUserId }),
    passwords: deps.passwords,
    fellows,
    createTenant,
    hire,
    signIn,
    refresh,
    ctxOf,
    readAudit,
    async [Symbol.asyncDispose]() {
      expect(busErrors).toEqual([])
      await database[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true })
    },
  }
}

export type Clinic = Awaited<ReturnType<typeof openClinic>>
export type Tenant = Awaited<ReturnType<Clinic['createTenant']>>
export type Person = Awaited<ReturnType<Clinic['hire']>>

export function inTenant(tenantId: TenantId) {
  return { role: 'app', tenantId } as const
}

/** What each of them would think of. */
export function passwordOf(name: string): string {
  return `${name.length} quiet herons cross the moor at dusk`
}

/** How a device proves itself at its next sign-in. */
export function deviceOf(signedIn: SignedInResult): { readonly deviceId: DeviceId; readonly deviceSecret: string } {
  return { deviceId: signedIn.session.deviceId, deviceSecret: signedIn.deviceSecret!.reveal() }
}

/** Expects a refusal and gives it. */
export async function refusalOf(act: Promise<unknown>, code?: ProblemCode): Promise<Problem> {
  const outcome = await act.then(
    () => 'allowed',
    (error: unknown) => error,
  )
  if (!(outcome instanceof Problem)) throw outcome instanceof Error ? outcome : new Error('The act was allowed')
  if (code !== undefined) expect(outcome.code).toBe(code)
  return outcome
}

type Tail<F> = F extends (first: never, ...rest: infer Rest) => unknown ? Rest : never
