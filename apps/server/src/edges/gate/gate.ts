import type { AuditAction, Unaudited, UserId } from '@sotto/protocol'
import type { AnonymousCtx, Ctx } from '../../platform/context/context.ts'
import { SealBroken } from '../../platform/crypto/envelope.ts'
import { DatabaseUnavailable } from '../../platform/db/errors.ts'
import type { Log, LogFields } from '../../platform/log/log.ts'
import { Problem, problem } from '../../platform/problem/problem.ts'
import type { Audit } from '../../domains/audit/index.ts'

/**
 * What every act passes on its way in and out, whichever protocol carried it: failures become problems, refusals are
 * recorded, activity is noted. One path for HTTP and socket.
 */
export interface Act {
  readonly action: AuditAction | Unaudited
  readonly activity: boolean
  readonly operation: string
  readonly resource?: { readonly type: string; readonly id: string } | undefined
}

export interface Gate {
  /** @throws Problem, and nothing else */
  run<T>(ctx: Ctx | AnonymousCtx, act: Act, fn: () => Promise<T>): Promise<T>
  /** Turns whatever went wrong into the problem that the caller is told, after recording it. */
  refuse(ctx: Ctx | AnonymousCtx, act: Act, error: unknown): Promise<Problem>
}

export interface GateDeps {
  readonly audit: Pick<Audit, 'recordRefusal'>
  readonly log: Log
  /** Notes an act of the session's user. @throws identity/session-ended: the act was the session's end, or met it */
  touchSession(ctx: Ctx): Promise<void>
}

/** Status codes from here on are the server's own failures, not refusals of what was asked. */
const FAILURE = 500

function recordOf(act: Act, refusal: Problem, outcome: 'refused' | 'failed'): Parameters<Audit['recordRefusal']>[1] {
  return {
    action: typeof act.action === 'string' ? act.action : 'request.refuse',
    code: refusal.trueReason,
    outcome,
    subjectUserId: refusal.subjectUserId as UserId | null,
    ...(act.resource ? { resource: act.resource } : {}),
  }
}

export function createGate(deps: GateDeps): Gate {
  async function refuse(ctx: Ctx | AnonymousCtx, act: Act, error: unknown): Promise<Problem> {
    const refusal = toProblem(error)
    if (refusal.recorded) return refusal
    const isFailure = refusal.spec.status >= FAILURE
    if (isFailure) logFailure(ctx, act, refusal, error)
    // Without a database there is nowhere to record that there is none.
    if (refusal.code === 'platform/unavailable') return refusal.asRecorded()
    try {
      await deps.audit.recordRefusal(ctx, recordOf(act, refusal, isFailure ? 'failed' : 'refused'))
    } catch (failure) {
      deps.log.warn('request.failed', { requestId: ctx.requestId, operation: act.operation }, failure)
      if (!isFailure) return problem('platform/unavailable', { recorded: true })
    }
    return refusal.asRecorded()
  }

  function logFailure(ctx: Ctx | AnonymousCtx, act: Act, failure: Problem, error: unknown): void {
    const fields = { requestId: ctx.requestId, operation: act.operation, code: failure.code }
    if (failure.code === 'keys/tampered') logTampering(deps.log, failure, { ...fields, tenantId: ctx.tenantId })
    else if (failure.code === 'platform/internal') deps.log.error('request.failed', fields, error)
    else deps.log.warn('request.failed', fields, error)
  }

  /** Only what was allowed shows that the user is there. It has happened: that it cannot be noted takes nothing back. */
  async function noteActivity(ctx: Ctx, act: Act): Promise<void> {
    try {
      await deps.touchSession(ctx)
    } catch (error) {
      if (error instanceof Problem) return
      deps.log.warn('request.failed', { requestId: ctx.requestId, operation: act.operation }, error)
    }
  }

  return {
    refuse,
    async run(ctx, act, fn) {
      try {
        const answer = await fn()
        if (act.activity && ctx.sessionId !== null) await noteActivity(ctx, act)
        return answer
      } catch (error) {
        throw await refuse(ctx, act, error)
      }
    },
  }
}

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof DatabaseUnavailable) return problem('platform/unavailable', { cause: error })
  // Something sealed whose place nobody knows: a key, or one of the deployment's own.
  if (error instanceof SealBroken) return problem('keys/tampered', { cause: error })
  return problem('platform/internal', { cause: error })
}

/** A person must act: somebody, or some fault, has written to the database. Ids only. */
export function logTampering(log: Log, { tampered, code, cause }: Problem, fields: LogFields): void {
  const { kind, id, conversationId } = tampered ?? {}
  log.error('keys.tampered', { ...fields, code, sealedKind: kind, sealedId: id, conversationId }, cause)
}
