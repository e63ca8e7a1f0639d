import {
  limitSpecs,
  problemCatalogue,
  type ProblemSpec,
  renderAsyncApi,
  renderOpenApi,
  type InputOf,
  type Limits,
  type OperationId,
  type Operations,
  type ReplyOf,
  type SignedIn,
} from '@sotto/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AnonymousCtx, Ctx, Origin } from '../../platform/context/context.ts'
import type { Secret } from '../../platform/phi/phi.ts'
import { clearSignInCookies, readSignInCookies, setSignInCookies, type CookieOptions } from './cookies.ts'

export interface Call {
  readonly caller: Ctx | AnonymousCtx
  readonly input: Record<string, unknown>
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}
export type Handlers = Readonly<Record<string, (call: Call) => Promise<unknown>>>

/** A sign-in as the identity room answers it: what the client keeps secret has not been put anywhere yet. */
export interface SignedInResult extends Omit<SignedIn, 'accessToken' | 'refreshToken' | 'deviceSecret'> {
  readonly accessToken: Secret<string>
  readonly refreshToken: Secret<string>
  readonly deviceSecret: Secret<string> | null
}

type SignInOperation = 'createSession' | 'refreshSession' | 'redeemSignInLink'
type MetaOperation = 'getLimits' | 'getOpenApi' | 'getAsyncApi' | 'listProblems'
type SessionOperation = Exclude<OperationId, SignInOperation | MetaOperation>

/** What the rooms bring: every operation of the contract, each under its id. A missing one does not compile. */
export type RoomOperations = {
  readonly [Id in SessionOperation]: (ctx: Ctx, input: InputOf<Operations[Id]>) => Promise<ReplyOf<Operations[Id]>>
} & {
  readonly [Id in SignInOperation]: (origin: Origin, input: InputOf<Operations[Id]>) => Promise<SignedInResult>
}

export interface HandlerOptions {
  readonly version: string
  readonly limits: Limits
  readonly cookies: CookieOptions
}

const sessionIds = (rooms: RoomOperations) =>
  Object.keys(rooms).filter((id) => !signInIds.includes(id as SignInOperation)) as SessionOperation[]
const signInIds: readonly SignInOperation[] = ['createSession', 'refreshSession', 'redeemSignInLink']

/** Joins operations and HTTP: session operations as they are, sign-ins with their cookies, and the documents. */
export function createHandlers(rooms: RoomOperations, options: HandlerOptions): Handlers {
  const handlers: Record<string, (call: Call) => Promise<unknown>> = { ...metaHandlers(options) }
  for (const id of sessionIds(rooms)) {
    const operation = rooms[id] as (ctx: Ctx, input: unknown) => Promise<unknown>
    handlers[id] = ({ caller, input }) => operation(caller as Ctx, input)
  }
  for (const id of signInIds) {
    const operation = rooms[id] as (origin: Origin, input: unknown) => Promise<SignedInResult>
    handlers[id] = async (call) => {
      const { input, isFromCookie } = withCookies(id, call)
      const isInCookie = isFromCookie || input['refreshTokenIn'] === 'cookie'
      return renderSignedIn(call.reply, await operation(call.caller, input), { isInCookie, ...options.cookies })
    }
  }
  const endSession = handlers['endSession']!
  handlers['endSession'] = async (call) => {
    await endSession(call)
    if (call.input['sessionId'] === call.caller.sessionId) clearSignInCookies(call.reply, options.cookies)
  }
  return handlers
}

/**
 * A page that reloads has only its cookies: they stand in for what the body leaves out.
 *
 * @returns isFromCookie  what renews the session came where no script can read it, and goes back the same way only, whatever
 *                        the body asks for: a script in the page may ask, too
 */
function withCookies(
  id: SignInOperation,
  { input, request }: Call,
): { readonly input: Record<string, unknown>; readonly isFromCookie: boolean } {
  const cookies = readSignInCookies(request)
  if (id === 'refreshSession') {
    if (input['refreshToken'] !== undefined) return { input, isFromCookie: false }
    return { input: { ...input, refreshToken: cookies.refreshToken }, isFromCookie: cookies.refreshToken !== undefined }
  }
  const device = input['device'] as { readonly deviceId?: string; readonly deviceSecret?: string }
  if (device.deviceId !== undefined || cookies.device === undefined) return { input, isFromCookie: false }
  return { input: { ...input, device: { ...device, ...cookies.device } }, isFromCookie: false }
}

function renderSignedIn(
  reply: FastifyReply,
  result: SignedInResult,
  { isInCookie, ...cookies }: CookieOptions & { readonly isInCookie: boolean },
): SignedIn {
  const { accessToken, refreshToken, deviceSecret, ...rest } = result
  if (isInCookie) setSignInCookies(reply, result, cookies)
  return {
    ...rest,
    accessToken: accessToken.reveal(),
    refreshToken: isInCookie ? null : refreshToken.reveal(),
    deviceSecret: isInCookie ? null : (deviceSecret?.reveal() ?? null),
  }
}

function metaHandlers({ version, limits }: HandlerOptions): Record<MetaOperation, () => Promise<unknown>> {
  const openApi = renderOpenApi({ version })
  const asyncApi = renderAsyncApi({ version })
  const limitDocument = Object.fromEntries(
    Object.entries(limitSpecs).map(([name, { unit, meaning }]) => [
      name,
      { value: limits[name as keyof Limits], unit, meaning },
    ]),
  )
  const specs: readonly (readonly [string, ProblemSpec])[] = Object.entries(problemCatalogue)
  const items = specs.map(([code, { status, title, retry, advice }]) => ({ code, status, title, retry, advice }))
  return {
    getLimits: async () => limitDocument,
    getOpenApi: async () => openApi,
    getAsyncApi: async () => asyncApi,
    listProblems: async () => ({ items }),
  }
}
