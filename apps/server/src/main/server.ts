import type { AddressInfo } from 'node:net'
import fastifyStatic from '@fastify/static'
import { existsSync } from 'node:fs'
import { scopeOf, type Origin } from '../platform/context/context.ts'
import { createTokenBuckets } from '../platform/limits/token-bucket.ts'
import { createLog, type Log } from '../platform/log/log.ts'
import { Secret } from '../platform/phi/phi.ts'
import { systemClock, toRfc3339, type Clock } from '../platform/time/clock.ts'
import { createGate } from '../edges/gate/gate.ts'
import { createHttpApp } from '../edges/http/app.ts'
import { createHandlers } from '../edges/http/handlers.ts'
import { addReferencePage } from '../edges/http/reference-page.ts'
import { createCommands } from '../edges/realtime/commands.ts'
import { attachSocketServer } from '../edges/realtime/socket-server.ts'
import type { Argon2Parameters } from '../domains/identity/index.ts'
import { assertPortFree } from './assert-port-free.ts'
import { compose, type Composition } from './compose.ts'
import type { Config } from './config.ts'
import { takeServerLock } from '../platform/db/server-lock.ts'
import { findDeploymentId } from '../platform/db/deployment-id.ts'
import { ensureSystemTenant, recordLife } from './deployment.ts'
import { startJobs, type Jobs } from './jobs.ts'
import { openDatabase, openKeyring } from './open-ground.ts'
import { VERSION } from './version.ts'

/** A running server. Disposing of it drains: no new work, sockets told to reconnect, everything recorded, then closed. */
export interface RunningServer extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly composition: Composition
}

export interface StartOptions {
  readonly config: Config
  readonly log?: Log
  /** Only for a first start: makes the keyring where there is no data yet. */
  readonly mayCreateKeyring?: boolean
  /** The built page; not served when it does not exist. */
  readonly pageDir?: string
  /** Cheaper password hashing, for tests. */
  readonly argon2?: Argon2Parameters
  /** The system's when not given. */
  readonly clock?: Clock
  /** How long to wait for another server on the same PostgreSQL database to end; a limit of the database's when not given. */
  readonly otherServerMs?: number
  /**
   * The process should end: the embedded database can never be opened again by it (see its supervisor), or another server
   * has taken the PostgreSQL database (AnotherServerRuns).
   */
  readonly onFatal?: (error: Error) => void
}

/**
 * Starts the server: keyring, database, rooms, edges, jobs, in this order; it listens last, when everything works. That
 * somebody else listens there is noticed first, before anything is made or opened.
 *
 * @throws KeyringRefused, DirectoryInUse, AnotherServerRuns, DatabaseUnavailable, Error with a message for the operator or
 *         with a code of the system (EADDRINUSE)
 */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  const { config } = options
  const log = options.log ?? createLog({ level: config.logLevel })
  await using stack = new AsyncDisposableStack()
  await assertPortFree(config.host, config.port)
  const keyring = await openKeyring(config, { mayCreate: options.mayCreateKeyring ?? false })
  log.warn('keyring.unsafe-local', { reason: 'keyring-local' })
  const fatal = options.onFatal ?? ((error: Error) => log.error('server.fatal', {}, error))
  const db = stack.use(await openDatabase(config, keyring, log, fatal))
  if (config.database.kind === 'postgres')
    stack.use(
      await takeServerLock({
        url: config.database.url,
        clock: options.clock ?? systemClock,
        onLost: fatal,
        ...(options.otherServerMs === undefined ? {} : { waitMsMax: options.otherServerMs }),
      }),
    )
  const composition = compose({
    config,
    db,
    keyring,
    log,
    deploymentId: await findDeploymentId(db),
    ...(options.argon2 ? { argon2: options.argon2 } : {}),
    ...(options.clock ? { clock: options.clock } : {}),
  })
  await ensureSystemTenant(composition)
  const running = await listen(options, composition, log, stack)
  const moved = stack.move()
  // Whoever asks again waits for the same end.
  let stopped: Promise<void> | undefined
  return { ...running, composition, [Symbol.asyncDispose]: () => (stopped ??= moved.disposeAsync()) }
}

async function listen(
  { config, pageDir }: StartOptions,
  composition: Composition,
  log: Log,
  stack: AsyncDisposableStack,
) {
  const { audit, clock, ids, identity, limits, db } = composition
  let isDraining = false
  const gate = createGate({ audit, log, touchSession: identity.touchSession })
  const userRates = createTokenBuckets(clock, { perSecond: limits.requestsPerSecond, burst: limits.requestsBurst })
  const cookies = { secure: config.publicUrl.startsWith('https:'), refreshMaxAgeSeconds: limits.sessionAbsoluteSeconds }
  const app = createHttpApp({
    gate,
    ids,
    limits,
    log,
    allowedOrigins: config.allowedOrigins,
    trustProxy: config.trustProxy,
    handlers: createHandlers(composition.operations, { version: VERSION, limits, cookies }),
    userRates,
    addressRates: createTokenBuckets(clock, {
      perSecond: limits.signInsPerAddressPerSecond,
      burst: limits.signInsPerAddressBurst,
    }),
    authenticate: identity.authenticate,
    isDraining: () => isDraining,
  })
  addReferencePage(app, { version: VERSION, limits })
  if (pageDir !== undefined && existsSync(pageDir))
    await app.register(fastifyStatic, { root: pageDir, cacheControl: false, index: ['index.html'] })
  const sockets = attachSocketServer(app.server, {
    gate,
    limits,
    ids,
    clock,
    log,
    registry: composition.registry,
    delivering: composition.delivering,
    endings: composition.endings,
    userRates,
    commandRates: createTokenBuckets(clock, {
      perSecond: limits.socketCommandsPerSecond,
      burst: limits.socketCommandsBurst,
    }),
    commands: createCommands({ operations: composition.commands, registry: composition.registry, clock }),
    allowedOrigins: config.allowedOrigins,
    trustProxy: config.trustProxy,
    redeemSocketTicket: (ticket: string, origin: Origin) => identity.redeemSocketTicket(new Secret(ticket), origin),
    recordOpen: (ctx, connectionId) =>
      db.withTx(scopeOf(ctx), (tx) =>
        audit.record(tx, ctx, { action: 'socket.open', resource: { type: 'socket', id: connectionId } }),
      ),
    recordClose: (ctx, { connectionId, code, typing, closedAt }) =>
      db.withTx(scopeOf(ctx), (tx) =>
        audit.record(tx, ctx, {
          action: 'socket.close',
          resource: { type: 'socket', id: connectionId },
          details: { code, typing, closedAt: toRfc3339(closedAt) },
        }),
      ),
    onOpen: (connection) => {
      const { ctx, id } = connection
      composition.board.add(ctx.tenantId, ctx.userId, id)
      composition.fanOut.opened(connection)
    },
    onClose: ({ ctx, id }) => composition.board.remove(ctx.tenantId, ctx.userId, id),
    isDraining: () => isDraining,
  })
  const running: { jobs?: Jobs } = {}
  let isRecorded = false
  // From here on something may run that keeps the process alive, so a start that fails further down stops it as well.
  stack.defer(async () => {
    isDraining = true
    log.info('server.draining', {})
    running.jobs?.stop()
    await sockets.drain()
    await app.close()
    await composition.appender.idle()
    await composition.cursorMover.idle()
    await running.jobs?.idle()
    if (!isRecorded) return
    await audit.flushRefusals(true)
    await recordLife(composition, 'deployment.stop')
    log.info('server.stopped', {})
  })
  await composition.deliveries.sweep()
  running.jobs = startJobs(composition, log)
  await app.listen({ host: config.host, port: config.port })
  const { port } = app.server.address() as AddressInfo
  await recordLife(composition, 'deployment.start')
  isRecorded = true
  log.info('server.started', { port, version: VERSION, nodeId: composition.nodeId })
  const host = config.host.includes(':') ? `[${config.host}]` : config.host
  return { url: `http://${host}:${port}`, port }
}
