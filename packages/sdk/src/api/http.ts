import type { Clock } from '../platform/clock.ts'
import { parseProblem, sdkProblem, SottoProblem } from './problem.ts'

export type Fetch = (input: string, init: RequestInit) => Promise<Response>

/** Gives an access token. `refused` is the one that the server has just refused: then it must be another one. */
export type GetToken = (refused?: string) => Promise<string>

export interface HttpOptions {
  readonly signal?: AbortSignal
  /** Ask for a fresh access token first: the server has just ended the session that the last one belonged to. */
  readonly freshToken?: boolean
  /** Default 30 s. */
  readonly timeoutMs?: number
}

export interface HttpRequest {
  readonly method: string
  readonly path: string
  readonly body: unknown
  readonly signedIn: boolean
  readonly options: HttpOptions
}

export interface HttpClient {
  /** @returns the parsed reply; `undefined` for 204 @throws SottoProblem */
  request(request: HttpRequest): Promise<unknown>
  /** How far the server's clock is ahead of the device's monotonic one, from the last `date` header; null if unknown. */
  serverOffsetMs(): number | null
}

export interface HttpDeps {
  readonly url: string
  readonly getToken: GetToken
  readonly fetch: Fetch
  readonly clock: Clock
  /** Cookies travel only to the page's own origin. */
  readonly credentials: RequestCredentials
}

const TIMEOUT_MS = 30_000

export function createHttp(deps: HttpDeps): HttpClient {
  let offsetMs: number | null = null
  let lastToken: string | undefined

  async function attempt(request: HttpRequest, refused: string | undefined): Promise<unknown> {
    const token = request.signedIn ? await deps.getToken(refused) : undefined
    lastToken = token ?? lastToken
    const response = await fetchInTime(deps, request, token)
    const date = Date.parse(response.headers.get('date') ?? '')
    if (!Number.isNaN(date)) offsetMs = date - deps.clock.monotonicMs()
    if (response.status === 204) return undefined
    const body = await readJson(response)
    if (response.ok && body !== undefined) return body
    throw withRetryAfter(parseProblem(body, response.status), response)
  }

  return {
    serverOffsetMs: () => offsetMs,
    async request(request) {
      try {
        return await attempt(request, request.options.freshToken === true ? lastToken : undefined)
      } catch (error) {
        // Once only: a token that is refused while fresh means that the session is over.
        const stale = error instanceof SottoProblem && error.status === 401 && error.retry === 'after-reauth'
        if (!stale || !request.signedIn) throw error
        return await attempt(request, lastToken)
      }
    },
  }
}

async function fetchInTime(deps: HttpDeps, request: HttpRequest, token: string | undefined): Promise<Response> {
  const { signal, timeoutMs = TIMEOUT_MS } = request.options
  const abort = new AbortController()
  const forward = (): void => abort.abort()
  const cancelTimer = deps.clock.setTimer(timeoutMs, () => abort.abort('timeout'))
  signal?.addEventListener('abort', forward)
  if (signal?.aborted === true) forward()
  try {
    const headers: Record<string, string> = { accept: 'application/json' }
    if (token !== undefined) headers['authorization'] = `Bearer ${token}`
    if (request.body !== undefined) headers['content-type'] = 'application/json'
    const response = await deps.fetch(`${deps.url}${request.path}`, {
      method: request.method,
      headers,
      credentials: deps.credentials,
      // Answers hold PHI: nothing of them belongs into the browser's cache.
      cache: 'no-store',
      redirect: 'error',
      signal: abort.signal,
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    })
    // The body is read within the same time limit as the head.
    return new Response(response.status === 204 ? null : await response.arrayBuffer(), response)
  } catch (error) {
    if (signal?.aborted === true) throw sdkProblem('sdk/aborted', error)
    throw sdkProblem(abort.signal.reason === 'timeout' ? 'sdk/timeout' : 'sdk/network', error)
  } finally {
    cancelTimer()
    signal?.removeEventListener('abort', forward)
  }
}

async function readJson(response: Response): Promise<unknown> {
  try {
    return (await response.json()) as unknown
  } catch {
    return undefined
  }
}

function withRetryAfter(problem: SottoProblem | undefined, response: Response): SottoProblem {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  const found = problem ?? sdkProblem('sdk/unexpected-reply', undefined, response.status)
  if (found.retryAfterMs !== undefined || Number.isNaN(seconds)) return found
  return new SottoProblem({ ...found.toDocument(), retryAfterMs: seconds * 1_000 }, { cause: found.cause })
}
