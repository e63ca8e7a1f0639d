import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import fastifyCookie from '@fastify/cookie'
import { operations, type Limits, type Operation, type ProblemCode } from '@sotto/protocol'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { anonymous, type Ctx, type Origin } from '../../platform/context/context.ts'
import type { Ids } from '../../platform/ids/ids.ts'
import type { TokenBuckets } from '../../platform/limits/token-bucket.ts'
import type { Log } from '../../platform/log/log.ts'
import { Problem, problem, renderProblem } from '../../platform/problem/problem.ts'
import type { Act, Gate } from '../gate/gate.ts'
import { isOriginAllowed } from '../gate/origins.ts'
import { parseInput } from '../gate/parse-input.ts'
import { parseJson } from '../gate/parse-json.ts'
import { readBearer, readPurpose } from './authentication.ts'
import { setSecurityHeaders } from './headers.ts'
import type { Handlers } from './handlers.ts'

export interface HttpDeps {
  readonly gate: Gate
  readonly ids: Ids
  readonly limits: Limits
  readonly log: Log
  readonly allowedOrigins: readonly string[]
  readonly trustProxy: boolean
  readonly handlers: Handlers
  readonly userRates: TokenBuckets
  readonly addressRates: TokenBuckets
  /** @throws identity/unauthenticated, identity/token-expired */
  authenticate(accessToken: string, origin: Origin): Promise<Ctx>
  isDraining(): boolean
}

export type App = FastifyInstance<Server, IncomingMessage, ServerResponse>

/**
 * The HTTP edge: one route for each operation of the contract, none besides. A request passes, in this order: size, origin,
 * rate, authentication, schema, the operation. Every refusal is recorded and answered as a problem (RFC 9457).
 */
export function createHttpApp(deps: HttpDeps): App {
  const app = fastify({
    bodyLimit: deps.limits.requestBytesMax,
    logger: false,
    trustProxy: deps.trustProxy,
    genReqId: () => deps.ids.next(),
    requestTimeout: 30_000,
    connectionTimeout: 0,
    keepAliveTimeout: 72_000,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 200, caseSensitive: true },
    clientErrorHandler: refuseBrokenRequest,
  })
  app.register(fastifyCookie)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, text, done) => {
    try {
      done(null, text === '' ? undefined : parseJson(text as string, deps.limits.jsonDepthMax))
    } catch (error) {
      done(error as Error)
    }
  })
  app.addHook('onRequest', async (request, reply) => {
    setSecurityHeaders(reply, deps.allowedOrigins, request.headers.origin)
    if (!isOriginAllowed(request.headers.origin, request.headers.host, deps.allowedOrigins))
      throw problem('platform/origin-refused')
    if (deps.isDraining()) throw problem('platform/draining')
  })
  app.addHook('onResponse', async (request, reply) => {
    const operation = request.routeOptions.config.operationId
    deps.log.info('request.done', {
      requestId: request.id,
      operation,
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime),
    })
  })
  app.setErrorHandler((error, request, reply) => answerError(deps, request, reply, error))
  app.setNotFoundHandler((request, reply) => answerError(deps, request, reply, problem(codeOfUnknown(app, request))))
  for (const operation of Object.values(operations)) addRoute(app, deps, operation)
  app.options('/v1/*', async (_request, reply) => reply.code(204).send())
  return app as unknown as App
}

declare module 'fastify' {
  interface FastifyContextConfig {
    operationId?: string
  }
}

function addRoute(app: FastifyInstance, deps: HttpDeps, operation: Operation): void {
  app.route({
    method: operation.method,
    url: operation.path,
    config: { operationId: operation.operationId },
    handler: async (request, reply) => {
      const act: Act = {
        action: operation.audit,
        activity: operation.activity,
        operation: operation.operationId,
        resource: resourceOf(request),
      }
      const caller =
        operation.auth === 'session' ? await authenticate(deps, request, act) : anonymous(originOf(request))
      const wait = caller.sessionId === null ? deps.addressRates.take(request.ip) : deps.userRates.take(caller.userId)
      const result = await deps.gate.run(caller, act, async () => {
        if (wait > 0) throw problem('platform/rate-limited', { retryAfterMs: wait })
        return deps.handlers[operation.operationId]!({ caller, input: readInput(operation, request), request, reply })
      })
      return reply.code(operation.reply.status).send(result)
    },
  })
}

async function authenticate(deps: HttpDeps, request: FastifyRequest, act: Act): Promise<Ctx> {
  const origin = originOf(request)
  try {
    const ctx = await deps.authenticate(readBearer(request.headers.authorization), origin)
    return { ...ctx, purpose: readPurpose(request.headers['sotto-purpose'], ctx.purpose) }
  } catch (error) {
    throw await deps.gate.refuse(anonymous(origin), act, error)
  }
}

function readInput(operation: Operation, request: FastifyRequest): Record<string, unknown> {
  const params = operation.params ? parseInput(operation.params, request.params) : {}
  const query = operation.query ? parseInput(operation.query, request.query) : {}
  if (operation.body === undefined && request.body !== undefined) {
    throw problem('platform/invalid-input', { errors: [{ pointer: '', message: 'no body is taken here' }] })
  }
  const body = operation.body ? (parseInput(operation.body, request.body) as Record<string, unknown>) : {}
  return { ...query, ...body, ...params }
}

export function originOf(request: FastifyRequest): Origin {
  return { requestId: request.id, address: request.ip }
}

/** What a refused request was about, from its path: the audit trail wants to know also what was not found. */
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

/** Errors that come from before the operation: the parser, the router, the hooks. */
async function answerError(
  deps: HttpDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  error: unknown,
): Promise<FastifyReply> {
  const refusal =
    error instanceof Problem && error.recorded
      ? error
      : await deps.gate.refuse(anonymous(originOf(request)), fallbackAct(request), fromFastify(error))
  if (refusal.retryAfterMs !== undefined) reply.header('retry-after', Math.ceil(refusal.retryAfterMs / 1_000))
  return reply
    .code(refusal.spec.status)
    .type('application/problem+json')
    .send(JSON.stringify(renderProblem(refusal, request.id)))
}

function fallbackAct(request: FastifyRequest): Act {
  const operation = Object.values(operations).find(
    (one) => one.operationId === request.routeOptions.config?.operationId,
  )
  return {
    action: operation?.audit ?? 'request.refuse',
    activity: false,
    operation: operation?.operationId ?? 'unknown',
  }
}

function fromFastify(error: unknown): unknown {
  const code = (error as { code?: unknown }).code
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return problem('platform/too-large')
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return problem('platform/unsupported-media-type')
  if (
    code === 'FST_ERR_CTP_INVALID_CONTENT_LENGTH' ||
    code === 'FST_ERR_BAD_URL' ||
    code === 'FST_ERR_CTP_EMPTY_JSON_BODY'
  )
    return problem('platform/malformed')
  if ((error as { statusCode?: unknown }).statusCode === 400) return problem('platform/malformed', { cause: error })
  return error
}

function codeOfUnknown(app: FastifyInstance, request: FastifyRequest): ProblemCode {
  const url = request.url.split('?')[0]!
  const isKnown = (['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const).some(
    (method) => method !== request.method && app.findRoute({ method, url }) !== null,
  )
  return isKnown ? 'platform/method-not-allowed' : 'platform/not-found'
}

/** What is not HTTP is answered as HTTP allows (RFC 9112 §9.2), and the connection ends. */
function refuseBrokenRequest(_error: Error, socket: import('node:net').Socket): void {
  if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
  else socket.destroy()
}
