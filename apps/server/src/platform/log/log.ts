import pino from 'pino'
import type { SealedKind } from '../problem/problem.ts'

/**
 * Structured logs without PHI: an event is a fixed word, fields come from a closed list, values are scalars. Errors are
 * reduced to name, code and stack frames: messages may quote user text. Logs are not the audit trail.
 */
export interface LogFields {
  readonly requestId?: string | undefined
  readonly tenantId?: string | undefined
  readonly sessionId?: string | undefined
  readonly nodeId?: string | undefined
  readonly operation?: string | undefined
  readonly code?: string | undefined
  readonly status?: number | undefined
  readonly durationMs?: number | undefined
  readonly count?: number | undefined
  readonly bytes?: number | undefined
  readonly port?: number | undefined
  readonly lane?: number | undefined
  readonly attempt?: number | undefined
  readonly closeCode?: number | undefined
  readonly reason?: LogReason | undefined
  /** What does not open, with its id and, of an entry, its conversation's. */
  readonly sealedKind?: SealedKind | undefined
  readonly sealedId?: string | undefined
  readonly conversationId?: string | undefined
  readonly version?: string | undefined
}

/** Reasons are words of ours, never text of others. */
export type LogReason =
  | 'signal'
  | 'startup'
  | 'shutdown'
  | 'database'
  | 'embedded'
  | 'postgres'
  | 'keyring-local'
  | 'orphaned'
  | 'slow'
  | 'expired'

export type LogEvent =
  | 'server.started'
  | 'server.draining'
  | 'server.stopped'
  | 'server.fatal'
  | 'process.unhandled'
  | 'request.done'
  | 'request.failed'
  | 'socket.opened'
  | 'socket.closed'
  | 'socket.failed'
  | 'socket.dropped'
  | 'ending.kept'
  | 'ending.lost'
  | 'database.unavailable'
  | 'database.recovered'
  | 'database.not-checkpointed'
  | 'database.retried'
  | 'batch.split'
  | 'fan-out.failed'
  | 'job.done'
  | 'job.failed'
  | 'outbox.failed'
  | 'keyring.unsafe-local'
  | 'keys.tampered'

export interface Log {
  debug(event: LogEvent, fields?: LogFields): void
  info(event: LogEvent, fields?: LogFields): void
  warn(event: LogEvent, fields?: LogFields, error?: unknown): void
  error(event: LogEvent, fields?: LogFields, error?: unknown): void
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

export function createLog(options: { readonly level: LogLevel; readonly write?: (line: string) => void }): Log {
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: null,
    messageKey: 'event',
    timestamp: pino.stdTimeFunctions.isoTime,
  }
  const logger = options.write
    ? pino(settings, { write: options.write })
    : pino(settings, pino.destination({ dest: 2, sync: true }))
  return {
    debug: (event, fields) => logger.debug({ ...fields }, event),
    info: (event, fields) => logger.info({ ...fields }, event),
    warn: (event, fields, error) => logger.warn({ ...fields, ...fingerprint(error) }, event),
    error: (event, fields, error) => logger.error({ ...fields, ...fingerprint(error) }, event),
  }
}

/** Where an error comes from without what it says: PostgreSQL, zod and Node quote values in their messages. */
function fingerprint(error: unknown): Record<string, string> {
  if (!(error instanceof Error)) return {}
  const code = (error as { code?: unknown }).code
  const frames = (error.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 8)
    .map((line) => line.trim())
    .join(' | ')
  return {
    errorName: error.name,
    ...(typeof code === 'string' && /^[\w/.-]{1,60}$/.test(code) ? { errorCode: code } : {}),
    errorFrames: frames,
    ...(error.cause instanceof Error
      ? { causeName: error.cause.name, causeFrames: fingerprint(error.cause)['errorFrames'] ?? '' }
      : {}),
  }
}
