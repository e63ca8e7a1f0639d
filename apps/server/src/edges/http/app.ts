import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import fastifyCookie from '@fastify/cookie'
import { operations, SOCKET_PATH, type Limits, type Operation } from '@sotto/protocol'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { anonymous, type AnonymousCtx, type Ctx, type Origin } from '../../platform/context/context.ts'
import type { Ids } from '../../platform/ids/ids.ts'
import type { TokenBuckets } from '../../platform/limits/token-bucket.ts'
import type { Log } from '../../platform/log/log.ts'
import { Problem, problem, renderProblem } from '../../platform/problem/problem.ts'
import type { Act, Gate } from '../gate/gate.ts'
import { isOriginAllowed } from '../gate/origins.ts'
import { parseInput } from '../gate/parse-input.ts'
import { parseJsonBytes } from '../gate/parse-json.ts'
import { checkAttemptRate, originOf, recogniseCaller } from './authentication.ts'
import { refuseBrokenRequest } from './broken-requests.ts'
import { setSecurityHeaders } from './headers.ts'
import type { Handlers } from './handlers.ts'
import { allowedMethods } from './paths.ts'

export interface HttpDeps {
  readonly gate: Gate
  readonly ids: Ids
  readonly limits: Limits
  readonly log: Log
  readonly allowedOrigins: readonly string[]
  readonly trustProxy: boolean
  readonly handlers: Handlers
  /** Of a user, or of an address while there is no user. */
  readonly userRates: TokenBuckets
  /** Sign-in attempts of an address. */
  readonly addressRates: TokenBuckets
  /** @throws identity/unauthenticated, identity/token-expired */
  authenticate(accessToken: string, origin: Origin): Promise<Ctx>
  isDraining(): boolean
}

export type App = FastifyInstance<Server, IncomingMessage, ServerResponse>

/** Whatever goes wrong while a broken request is answered ends its connection, and nothing else. */
async function refuseBroken(...[deps, error, socket]: Parameters<typeof refuseBrokenRequest>): Promise<void> {
  try {
    await refuseBrokenRequest(deps, error, socket)
  } catch {
    socket.destroy()
  }
}

declare module 'fastify' {
  interface FastifyContextConfig {
    operation?: Operation
  }
  interface FastifyRequest {
    /** Who asks, from the moment it is known. */
    caller: Ctx | AnonymousCtx | null
  }
}

/** A head that does not come within this is no slow line but a held connection (slowloris). */
const HEADERS_MS_MAX = 10_000
const REQUEST_MS_MAX = 30_000
const CONNECTION_CHECK_MS = 2_000
const HEADER_BYTES_MAX = 16_384
/** What is asked before the server stops is answered within this, or not at all. */
const DRAIN_MS_MAX = 5_000

/** One proxy stands in front: the address that it saw is the last one in X-Forwarded-For, the rest is the client's word. */
const isTheProxy = (_address: string, hop: number): boolean => hop === 0

/**
 * A server may pass over an `Upgrade` (RFC 9110 §7.8): one to anything but the socket is a request like any other. Node asks
 * from 24.9 on; before it, all of them are taken for sockets, and refused as such.
 */
function isSocketUpgrade({ headers, url }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket' && url?.split('?', 1)[0] === SOCKET_PATH
}

/**
 * The HTTP edge: one route for each operation of the contract, none besides. A request passes, in this order: form, origin,
 * authentication, rate, size, schema, the operation. Every refusal is recorded and answered as a problem (RFC 9457), in the
 * name of the caller as soon as there is one; nobody's body is read before that.
 */
export function createHttpApp(deps: HttpDeps): App {
  const app = fastify({
    bodyLimit: deps.limits.requestBytesMax,
    logger: false,
    trustProxy: deps.trustProxy && isTheProxy,
    genReqId: () => deps.ids.next(),
    requestIdHeader: false,
    requestTimeout: REQUEST_MS_MAX,
    connectionTimeout: 0,
    keepAliveTimeout: 72_000,
    exposeHeadRoutes: false,
    // While it drains, the hook below answers, with a problem.
    return503OnClosing: false,
    http: {
      headersTimeout: HEADERS_MS_MAX,
      connectionsCheckingInterval: CONNECTION_CHECK_MS,
      maxHeaderSize: HEADER_BYTES_MAX,
      requireHostHeader: false,
      shouldUpgradeCallback: isSocketUpgrade,
    },
    routerOptions: { maxParamLength: 200, caseSensitive: true },
    clientErrorHandler: (error, socket) => void refuseBroken(deps, error, socket),
    frameworkErrors: (error, request, reply) => {
      setSecurityHeaders(reply, deps.allowedOrigins, request.headers.origin)
      void answerError(deps, request, reply, error)
    },
  })
  app.decorateRequest('caller', null)
  app.register(fastifyCookie)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, bytes, done) => {
    try {
      done(null, bytes.length === 0 ? undefined : parseJsonBytes(bytes as Buffer, deps.limits.jsonDepthMax))
    } catch (error) {
      done(error as Error)
    }
  })
  app.addHook('onRequest', async (request, reply) => {
    setSecurityHeaders(reply, deps.allowedOrigins, request.headers.origin)
    checkHost(request)
    if (!isOriginAllowed(request.headers.origin, request.headers.host, deps.allowedOrigins))
      throw problem('platform/origin-refused')
    if (deps.isDraining()) throw problem('platform/draining')
  })
  app.addHook('preClose', async () => {
    // A server that closes no longer looks for slow requests, and waits for them: one held connection would hold it up.
    setTimeout(() => app.server.closeAllConnections(), DRAIN_MS_MAX).unref()
  })
  app.addHook('onResponse', async (request, reply) => {
    deps.log.info('request.done', {
      requestId: request.id,
      operation: request.routeOptions.config.operation?.operationId,
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime),
    })
  })
  app.setErrorHandler((error, request, reply) => answerError(deps, request, reply, error))
  app.setNotFoundHandler((request, reply) => answerUnknown(deps, request, reply))
  for (const operation of Object.values(operations)) addRoute(app, deps, operation)
  app.options('/v1/*', async (request, reply) => reply.code(204).header('allow', allowOf(request.url)).send())
  // An expectation that is not ours to meet may be passed over (RFC 9110 §10.1.1); Node would answer it without a problem.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  return app as unknown as App
}

/** RFC 9112 §3.2: a request without a host, or with two of them, is refused before anyone asks which one was meant. */
function checkHost(request: FastifyRequest): void {
  const { rawHeaders, httpVersion } = request.raw
  let hosts = 0
  for (let index = 0; index < rawHeaders.length; index += 2) if (rawHeaders[index]!.toLowerCase() === 'host') hosts++
  if (hosts > 1 || (hosts === 0 && httpVersion === '1.1')) throw problem('platform/malformed', { trueReason: 'host' })
}

function addRoute(app: FastifyInstance, deps: HttpDeps, operation: Operation): void {
  app.route({
    method: operation.method,
    url: operation.path,
    config: { operation },
    onRequest: async (request) => {
      await recogniseCaller(deps, operation, request)
    },
    preHandler: async (request) => checkAttemptRate(deps, operation, request),
    handler: async (request, reply) => {
      const caller = request.caller!
      const result = await deps.gate.run(caller, actOf(request), async () =>
        deps.handlers[operation.operationId]!({ caller, input: readInput(operation, request), request, reply }),
      )
      return reply.code(operation.reply.status).send(result)
    },
  })
}

function readInput(operation: Operation, request: FastifyRequest): Record<string, unknown> {
  const params = operation.params ? parseInput(operation.params, request.params) : {}
  const query = operation.query ? parseInput(operation.query, { ...(request.query as object) }) : {}
  if (operation.query === undefined && Object.keys(request.query as object).length > 0) throw nothingTaken('no query')
  if (operation.body === undefined && request.body !== undefined) throw nothingTaken('no body')
  const body = operation.body ? (parseInput(operation.body, request.body) as Record<string, unknown>) : {}
  return { ...query, ...body, ...params }
}

function nothingTaken(what: 'no query' | 'no body'): Problem {
  return problem('platform/invalid-input', { errors: [{ pointer: '', message: `${what} is taken here` }] })
}

function actOf(request: FastifyRequest): Act {
  const operation = request.routeOptions.config?.operation
  return {
    action: operation?.audit ?? 'request.refuse',
    activity: operation?.activity ?? false,
    operation: operation?.operationId ?? 'unknown',
    resource: resourceOf(request),
  }
}

/** What a request was about, from its path: the audit trail wants to know also what was not found. */
function resourceOf(request: FastifyRequest): Act['resource'] {
  const params = (request.params ?? {}) as Record<string, unknown>
  for (const [name, type] of resourceTypes) {
    const id = params[name]
    if (typeof id === 'string' && /^[0-9a-f-]{36}$/.test(id)) return { type, id }
  }
  return undefined
}

const resourceTypes = [
  ['conversationId', 'conversation'],
  ['userId', 'user'],
  ['sessionId', 'session'],
  ['deviceId', 'device'],
  ['auditEventId', 'audit-event'],
] as const

/** Errors that come from before the operation (the parser, the router, the hooks), and what the gate made of the others. */
async function answerError(
  deps: HttpDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  error: unknown,
): Promise<FastifyReply> {
  const caller = request.caller ?? anonymous(originOf(request))
  const refusal = await deps.gate.refuse(caller, actOf(request), fromFastify(error))
  if (refusal.retryAfterMs !== undefined) reply.header('retry-after', Math.ceil(refusal.retryAfterMs / 1_000))
  // RFC 9110 §15.5.2: who answers 401 says how to do better.
  if (refusal.spec.status === 401) reply.header('www-authenticate', 'Bearer realm="sotto"')
  return reply
    .code(refusal.spec.status)
    .type('application/problem+json')
    .send(JSON.stringify(renderProblem(refusal, request.id)))
}

function fromFastify(error: unknown): unknown {
  const { code, statusCode } = error as { readonly code?: unknown; readonly statusCode?: unknown }
  if (error instanceof Problem) return error
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return problem('platform/too-large')
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return problem('platform/unsupported-media-type')
  if (code === 'FST_ERR_MAX_PARAM_LENGTH') return problem('platform/not-found')
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return problem('platform/malformed', { cause: error })
  return error
}

async function answerUnknown(deps: HttpDeps, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const allow = allowOf(request.url)
  if (allow === '') return answerError(deps, request, reply, problem('platform/not-found'))
  // RFC 9110 §15.5.6
  reply.header('allow', allow)
  return answerError(deps, request, reply, problem('platform/method-not-allowed'))
}

function allowOf(url: string): string {
  return allowedMethods(url.split('?')[0]!).join(', ')
}
