import { problemCatalogue, type ProblemCode, type ProblemDocument, type ProblemSpec } from '@sotto/protocol'

export interface InvalidField {
  readonly pointer: string
  readonly message: string
}

/** Something sealed, by what it is and its id: never what is in it. */
export interface SealedThing {
  readonly kind: SealedKind
  readonly id: string
  /** Of an entry. */
  readonly conversationId?: string
}

export type SealedKind = 'entry' | 'title' | 'user-name' | 'login-name' | 'device-name' | 'team-name' | 'tenant-name'

export interface ProblemOptions {
  /** Kept for the log's fingerprint, never serialised to a client. */
  readonly cause?: unknown
  readonly retryAfterMs?: number
  readonly errors?: readonly InvalidField[]
  /** What the audit trail keeps when the caller may only see "not found". */
  readonly trueReason?: string
  /** Whom the refused act concerned, for the audit trail; never serialised to a client. */
  readonly subjectUserId?: string | null | undefined
  /** What does not open, for the log; never serialised to a client. */
  readonly tampered?: SealedThing | undefined
  /** The refusal stands in the audit trail already, so the edge does not record it again. */
  readonly recorded?: boolean
}

/** What an operation answers when it does not succeed: one class, codes from the published catalogue. */
export class Problem<Code extends ProblemCode = ProblemCode> extends Error {
  override readonly name = 'Problem'
  readonly code: Code
  readonly spec: ProblemSpec
  readonly retryAfterMs: number | undefined
  readonly errors: readonly InvalidField[] | undefined
  readonly trueReason: string
  readonly subjectUserId: string | null
  readonly tampered: SealedThing | undefined
  readonly recorded: boolean

  constructor(code: Code, options: ProblemOptions = {}) {
    const spec: ProblemSpec = problemCatalogue[code]
    super(spec.title, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.spec = spec
    this.retryAfterMs = options.retryAfterMs ?? (spec.retry === 'after-delay' ? 1_000 : undefined)
    this.errors = options.errors
    this.trueReason = options.trueReason ?? code
    this.subjectUserId = options.subjectUserId ?? null
    this.tampered = options.tampered
    this.recorded = options.recorded ?? false
  }

  /** The same problem, known to need no (further) record. */
  asRecorded(): Problem<Code> {
    const { code, cause, retryAfterMs, errors, trueReason, subjectUserId, tampered } = this
    return new Problem(code, {
      cause,
      trueReason,
      subjectUserId,
      tampered,
      recorded: true,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...(errors === undefined ? {} : { errors }),
    })
  }
}

export function problem<Code extends ProblemCode>(code: Code, options?: ProblemOptions): Problem<Code> {
  return new Problem(code, options)
}

/** RFC 9457 §3. `type` is relative: it resolves to the reference that this very server serves. */
export function renderProblem(problem: Problem, requestId: string): ProblemDocument {
  const { code, spec, retryAfterMs, errors } = problem
  return {
    type: `/reference/problems#${code.replace('/', '-')}`,
    title: spec.title,
    status: spec.status,
    ...(spec.tellsAdvice ? { detail: spec.advice } : {}),
    instance: requestId,
    code,
    retry: spec.retry,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(errors === undefined ? {} : { errors: [...errors] }),
  }
}
