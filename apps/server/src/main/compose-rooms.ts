import type { ConversationId, TenantId, UserId } from '@sotto/protocol'
import {
  createAccess,
  createKeptDecisions,
  type Access,
  type FactSources,
  type KeptDecisions,
} from '../domains/access/index.ts'
import { createAudit, type Audit } from '../domains/audit/index.ts'
import {
  createAppender,
  createCursorMover,
  createDeliveries,
  createMembershipFacts,
  type AppendDeps,
} from '../domains/conversations/index.ts'
import { type Argon2Parameters } from '../domains/identity/index.ts'
import {
  createConversationKey,
  createKeyCache,
  createSubjectKey,
  createTenantKeys,
  getAuditKey,
  getConversationDataKey,
  getDirectoryKey,
  getIndexKey,
  hasSubjectKey,
  hasTenantKeys,
  rotateConversationKey,
  type IndexPurpose,
  type KeyAccess,
  type Keyring,
  type KeysDeps,
  type SubjectRef,
} from '../domains/keys/index.ts'
import { createPresenceBoard } from '../domains/presence/index.ts'
import { createInProcessBus } from '../platform/bus/bus.ts'
import { createSealer } from '../platform/crypto/seal.ts'
import type { Postgres } from '../platform/db/postgres.ts'
import type { Tx } from '../platform/db/tx.ts'
import { createIds, systemRandom, type Ids, type Random } from '../platform/ids/ids.ts'
import type { Log } from '../platform/log/log.ts'
import { systemClock, type Clock } from '../platform/time/clock.ts'
import { composeIdentity } from './compose-identity.ts'
import type { Config } from './config.ts'

export interface Parts {
  readonly config: Pick<Config, 'limits'>
  readonly db: Postgres
  readonly keyring: Keyring
  readonly log: Log
  readonly clock?: Clock
  readonly random?: Random
  /** Stands in the tokens as their issuer: tokens of another deployment are not ours. */
  readonly deploymentId: string
  /** Cheaper password hashing, for tests. */
  readonly argon2?: Argon2Parameters
}

/** The rooms, each with what it needs of the others. */
export function composeRooms({
  config,
  db,
  keyring,
  log,
  clock = systemClock,
  random = systemRandom,
  deploymentId,
  argon2,
}: Parts) {
  const ids = createIds(clock, random)
  const { limits } = config
  const bus = createInProcessBus((error) => log.warn('fan-out.failed', {}, error))
  const sealer = createSealer({ random, clock })
  const keys = bindKeys({ keyring, sealer, cache: createKeyCache(clock), random, clock })
  const audit = createAudit({ clock, random, ids, sealer, keys, db })
  const ground = { ids, clock, random, bus, limits, sealer, keys, audit, db, log }

  // Access asks for facts that rooms bring which themselves ask access: the sources are filled in below.
  const facts = {} as { -readonly [Name in keyof FactSources]: FactSources[Name] }
  const access = createAccess({ clock, facts })
  const kept = createKeptDecisions({ db, access, clock })
  const identity = composeIdentity({
    ...ground,
    access,
    deploymentId,
    signingSealKey: keyring.derive('identity/token-signing'),
    pepper: keyring.derive('identity/password'),
    ...(argon2 ? { argon2 } : {}),
  })
  Object.assign(facts, createMembershipFacts(), {
    getSessionFacts: identity.getSessionFacts,
  } satisfies Partial<FactSources>)

  const board = createPresenceBoard(bus)
  return {
    ...ground,
    deploymentId,
    ...composeConversations({
      ...ground,
      access,
      kept,
      identity,
    }),
    access,
    kept,
    identity,
    board,
    presenceDeps: {
      db,
      access,
      audit,
      board,
      findPatientIds: identity.findPatientIds,
    },
  }
}

interface Before extends Omit<AppendDeps, 'findLiveSessions' | 'recordAuditItems' | 'keys'> {
  readonly ids: Ids
  readonly audit: Audit
  readonly keys: ReturnType<typeof bindKeys>
  readonly access: Access
  readonly kept: KeptDecisions
  readonly identity: ReturnType<typeof composeIdentity>
}

/** The conversations room with its appender, cursors and deliveries. */
function composeConversations({ ids, audit, access, kept, identity, keys, db, bus, clock, log, sealer }: Before) {
  const { findLiveSessions, findUserNames } = identity
  const appendDeps: AppendDeps = {
    db,
    bus,
    clock,
    log,
    sealer,
    keys,
    findLiveSessions,
    recordAuditItems: audit.recordItems,
  }
  const nodeId = ids.next<string>()
  const appender = createAppender(appendDeps)
  const cursorMover = createCursorMover(appendDeps)
  const deliveries = createDeliveries({ ...appendDeps, ids, nodeId })
  const conversationDeps = {
    ...appendDeps,
    keys,
    ids,
    access,
    appender,
    findUserNames,
    kept,
    cursorMover,
    recordAudit: audit.record,
  }
  return { nodeId, appender, cursorMover, deliveries, conversationDeps }
}

export type Rooms = ReturnType<typeof composeRooms>

/** The operations of the keys room, bound to their own dependencies, in the forms in which the others ask. */
function bindKeys(deps: KeysDeps) {
  return {
    getAuditKey: (access: KeyAccess, tenantId: TenantId, subjectUserId: UserId | null) =>
      getAuditKey(deps, access, { tenantId, subjectUserId }),
    getIndexKey: (access: KeyAccess, tenantId: TenantId, purpose: IndexPurpose) =>
      getIndexKey(deps, access, tenantId, purpose),
    getDirectoryKey: (access: KeyAccess, input: Parameters<typeof getDirectoryKey>[2]) =>
      getDirectoryKey(deps, access, input),
    getConversationKey: (access: KeyAccess, tenantId: TenantId, conversationId: ConversationId, epoch: number) =>
      getConversationDataKey(deps, access, { tenantId, conversationId, epoch }),
    createConversationKey: (tx: Tx, tenantId: TenantId, conversationId: ConversationId, subjectUserId: UserId | null) =>
      createConversationKey(deps, tx, { tenantId, conversationId, subjectUserId }),
    rotateConversationKey: (tx: Tx, tenantId: TenantId, conversationId: ConversationId) =>
      rotateConversationKey(deps, tx, { tenantId, conversationId }),
    createSubjectKey: (subject: SubjectRef) => createSubjectKey(deps, subject),
    hasSubjectKey: (subject: SubjectRef) => hasSubjectKey(deps, subject),
    createTenantKeys: (tx: Tx, tenantId: TenantId) => createTenantKeys(deps, tx, tenantId),
    hasTenantKeys: (tx: Tx, tenantId: TenantId) => hasTenantKeys(tx, tenantId),
  }
}
