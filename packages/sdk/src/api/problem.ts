import type { ProblemCode, ProblemDocument, Retry } from '@sotto/protocol'
import { problemTable } from '../contract.generated.ts'

/** Problems that only the client can see. They have the same shape as the server's. */
export type SdkProblemCode =
  | 'sdk/network'
  | 'sdk/timeout'
  | 'sdk/aborted'
  | 'sdk/unexpected-reply'
  | 'sdk/storage-failed'
  | 'sdk/signed-out'
  | 'sdk/discarded'
  | 'sdk/maybe-sent'
  | 'sdk/not-kept'
  | 'sdk/closed'

/** A code of the catalogue, one of the SDK's own, or one of a newer server. */
export type AnyProblemCode = ProblemCode | SdkProblemCode | (string & {})

/**
 * What went wrong, and what to do next (RFC 9457 `application/problem+json`).
 *
 * `retry` decides: `never` (show it), `after-delay` (wait `retryAfterMs`, repeat with the same ids), `after-sync` (sync,
 * then repeat), `after-reauth` (sign in again). The texts carry no PHI; `instance` is the request id for the operator.
 */
export class SottoProblem extends Error {
  override readonly name = 'SottoProblem'
  /** Stable: compare this, never the title. */
  readonly code: AnyProblemCode
  /** HTTP status, or 0 when there was no answer. */
  readonly status: number
  readonly retry: Retry
  readonly retryAfterMs: number | undefined
  /** Where the input was refused, by JSON pointer. */
  readonly errors: readonly { readonly pointer: string; readonly message: string }[]
  /** The request id, to quote to the operator. */
  readonly instance: string | undefined
  readonly detail: string | undefined

  constructor(document: ProblemDocument, options?: ErrorOptions) {
    super(document.title, options)
    this.code = document.code
    this.status = document.status
    this.retry = document.retry
    this.retryAfterMs = document.retryAfterMs
    this.errors = document.errors ?? []
    this.instance = document.instance
    this.detail = document.detail
  }

  /** The same as plain data: fit for storage and for other tabs. */
  toDocument(): ProblemDocument {
    return {
      type: 'about:blank',
      title: this.message,
      status: this.status,
      code: this.code,
      retry: this.retry,
      ...(this.retryAfterMs === undefined ? {} : { retryAfterMs: this.retryAfterMs }),
      ...(this.errors.length === 0 ? {} : { errors: [...this.errors] }),
      ...(this.instance === undefined ? {} : { instance: this.instance }),
      ...(this.detail === undefined ? {} : { detail: this.detail }),
    }
  }
}

const retryTable: Readonly<Record<string, Retry | undefined>> = problemTable

const sdkProblems: Record<SdkProblemCode, readonly [title: string, retry: Retry]> = {
  'sdk/network': ['The server cannot be reached', 'after-delay'],
  'sdk/timeout': ['The server did not answer in time', 'after-delay'],
  'sdk/aborted': ['The caller gave up', 'never'],
  'sdk/unexpected-reply': ['Something between this device and the server answered in its place', 'after-delay'],
  'sdk/storage-failed': ['The storage of this device does not work', 'never'],
  'sdk/signed-out': ['There is no session to resume', 'after-reauth'],
  'sdk/discarded': ['The message was discarded before it was sent', 'never'],
  'sdk/maybe-sent': ['The message may have been delivered already', 'never'],
  'sdk/not-kept': ['The server had the message and has it no more: it went back to a backup', 'never'],
  'sdk/closed': ['This connection object was closed', 'never'],
}

/** A problem of the SDK's own, as plain data. */
export function sdkProblemDocument(code: SdkProblemCode, status = 0): ProblemDocument {
  const [title, retry] = sdkProblems[code]
  return { type: 'about:blank', title, status, code, retry }
}

/** A problem of the SDK's own. */
export function sdkProblem(code: SdkProblemCode, cause?: unknown, status = 0): SottoProblem {
  return new SottoProblem(sdkProblemDocument(code, status), { cause })
}

/** A problem of the catalogue that the SDK sees before it asks, so that the server need not refuse it. */
export function localProblem(code: ProblemCode, status: number, title: string): SottoProblem {
  return new SottoProblem({ type: 'about:blank', title, status, code, retry: retryTable[code] ?? 'never' })
}

/** Anything that was thrown, as a problem: what is not one counts as a failure of the network. */
export function toProblem(error: unknown): SottoProblem {
  return error instanceof SottoProblem ? error : sdkProblem('sdk/network', error)
}

const retries: ReadonlySet<unknown> = new Set<Retry>(['never', 'after-delay', 'after-sync', 'after-reauth'])

/** Reads a problem document; `undefined` when it is none, as a proxy's error page. */
export function parseProblem(body: unknown, status: number): SottoProblem | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const document = body as Partial<ProblemDocument>
  if (typeof document.code !== 'string') return undefined
  const known = retryTable[document.code]
  const guessed = known ?? (status >= 500 ? 'after-delay' : 'never')
  const retry = document.retry !== undefined && retries.has(document.retry) ? document.retry : guessed
  return new SottoProblem({
    ...(document as ProblemDocument),
    title: document.title ?? document.code,
    status: typeof document.status === 'number' ? document.status : status,
    retry,
  })
}
