import type { ConversationId, TenantId, UserId } from '@sotto/protocol'
import { createAccess, createKeptDecisions, type FactSources } from '../domains/access/index.ts'
import { auditRoutes, createAudit, listAuditEventsAsOperator, type OperatorQuery } from '../domains/audit/index.ts'
import {
  conversationChanged,
  conversationsRoutes,
  createAppender,
  createCursorMover,
  createDeliveries,
  createMembershipFacts,
  cursorMoved,
  entryAppended,
  listAudience,
  membershipChanged,
  moveCursor,
  renderEntry,
  syncConversations,
  type AppendDeps,
} from '../domains/conversations/index.ts'
import { sessionEnded, type Argon2Parameters } from '../domains/identity/index.ts'
import {
  createConversationKey,
  createKeyCache,
  createSubjectKey,
  createTenantKeys,
  getAuditKey,
  getConversationDataKey,
  getDirectoryKey,
  getIndexKey,
  hasTenantKeys,
  rotateConversationKey,
  type IndexPurpose,
  type KeyAccess,
  type Keyring,
  type KeysDeps,
  type SubjectRef,
} from '../domains/keys/index.ts'
import { messagesRoutes, sendMessage } from '../domains/messages/index.ts'
import {
  createPresenceBoard,
  findVisibleUsers,
  presenceChanged,
  presenceRoutes,
  setPresence,
  signalTyping,
  typingSignalled,
  watchPresence,
} from '../domains/presence/index.ts'
import type { RoomOperations } from '../edges/http/handlers.ts'
import { createAudiences } from '../edges/realtime/audiences.ts'
import type { CommandOperations } from '../edges/realtime/commands.ts'
import { createDelivering } from '../edges/realtime/delivering.ts'
import { createFanOut } from '../edges/realtime/fan-out.ts'
import { createRegistry } from '../edges/realtime/registry.ts'
import { createInProcessBus } from '../platform/bus/bus.ts'
import { scopeOf, type Ctx, type Origin } from '../platform/context/context.ts'
import { createSealer } from '../platform/crypto/seal.ts'
import type { Postgres } from '../platform/db/postgres.ts'
import type { Tx } from '../platform/db/tx.ts'
import { createIds, systemRandom, type Random } from '../platform/ids/ids.ts'
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

/** Joins the rooms: the only file that knows them all. Nothing here decides anything. */
export function compose({
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

  // Access asks for facts that rooms bring which themselves ask access: the sources are filled in below.
  const facts = {} as { -readonly [Name in keyof FactSources]: FactSources[Name] }
  const access = createAccess({ clock, facts })
  const kept = createKeptDecisions({ db, access, clock })
  const identity = composeIdentity({
    ...{ db, clock, random, ids, bus, limits, access, audit, keys, sealer, deploymentId },
    signingSealKey: keyring.derive('identity/token-signing'),
    pepper: keyring.derive('identity/password'),
    ...(argon2 ? { argon2 } : {}),
  })
  Object.assign(facts, createMembershipFacts(), {
    getSessionFacts: identity.getSessionFacts,
  } satisfies Partial<FactSources>)

  const appendDeps: AppendDeps = {
    db,
    bus,
    clock,
    log,
    sealer,
    keys,
    findLiveSessions: identity.findLiveSessions,
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
    recordAudit: audit.record,
    findUserNames: identity.findUserNames,
    kept,
    cursorMover,
  }
  const board = createPresenceBoard(bus)
  const presenceDeps = { db, access, audit, board }

  const operations: RoomOperations = {
    ...identity.routes,
    ...conversationsRoutes(conversationDeps),
    ...messagesRoutes({ ...conversationDeps }),
    ...presenceRoutes(presenceDeps),
    ...auditRoutes({ clock, random, ids, sealer, keys, db, access }),
  }
  const commands: CommandOperations = {
    sendMessage: (ctx, input) => sendMessage(conversationDeps, ctx, input),
    moveCursor: (ctx, input) => moveCursor(conversationDeps, ctx, input),
    signalTyping: (ctx, input) => signalTyping({ kept, bus }, ctx, input),
    setPresence: (ctx, socketId, input) => setPresence(presenceDeps, ctx, socketId, input),
    watchPresence: (ctx, input, watch) => watchPresence(presenceDeps, ctx, input, watch),
    syncConversations: (ctx, input) => syncConversations(conversationDeps, ctx, input),
  }

  const auditDeps = { clock, random, ids, sealer, keys, db }
  const registry = createRegistry()
  const audiences = createAudiences((tenantId, conversationId) =>
    db.withTx(scopeOf({ tenantId }), (tx) => listAudience(tx, tenantId, conversationId)),
  )
  const delivering = createDelivering({ records: deliveries, log })
  const findVisible = (ctx: Ctx, userIds: readonly UserId[]) => findVisibleUsers(presenceDeps, ctx, userIds)
  const fanOut = createFanOut({ registry, audiences, delivering, log, findVisible })
  const open = (tenantId: TenantId, entry: Parameters<typeof renderEntry>[3]) =>
    renderEntry({ sealer, keys }, (read) => db.withTx(scopeOf({ tenantId }), read), tenantId, entry)

  bus.subscribe(entryAppended, ({ tenantId, entry }) =>
    fanOut.entryAppended(tenantId, {
      conversationId: entry.conversationId,
      seq: entry.seq,
      isMembership: entry.kind === 'membership',
      open: () => open(tenantId, entry),
    }),
  )
  bus.subscribe(cursorMoved, ({ tenantId, conversationId, cursor }) =>
    fanOut.cursorMoved(tenantId, conversationId, cursor),
  )
  bus.subscribe(typingSignalled, ({ tenantId, conversationId, userId, typing }) =>
    fanOut.typingSignalled(tenantId, conversationId as ConversationId, userId, typing),
  )
  bus.subscribe(presenceChanged, ({ tenantId, presence }) => fanOut.presenceChanged(tenantId, presence))
  bus.subscribe(conversationChanged, ({ tenantId, conversationId }) => {
    kept.forgetConversation(conversationId)
    fanOut.conversationChanged(tenantId, conversationId)
  })
  bus.subscribe(membershipChanged, ({ tenantId, conversationId, joined, left }) => {
    kept.forgetConversation(conversationId)
    fanOut.membershipChanged(tenantId, conversationId, joined, left)
  })
  bus.subscribe(sessionEnded, ({ sessionIds, reason }) => {
    kept.forgetSessions(sessionIds)
    fanOut.sessionsEnded(sessionIds, reason)
  })

  return {
    ids,
    clock,
    random,
    bus,
    limits,
    sealer,
    keys,
    audit,
    access,
    identity,
    appender,
    cursorMover,
    deliveries,
    operations,
    commands,
    registry,
    delivering,
    fanOut,
    board,
    nodeId,
    db,
    log,
    listAuditEventsAsOperator: (origin: Origin, query: OperatorQuery) =>
      listAuditEventsAsOperator(auditDeps, origin, query),
  }
}

export type Composition = ReturnType<typeof compose>

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
    createTenantKeys: (tx: Tx, tenantId: TenantId) => createTenantKeys(deps, tx, tenantId),
    hasTenantKeys: (tx: Tx, tenantId: TenantId) => hasTenantKeys(tx, tenantId),
  }
}
