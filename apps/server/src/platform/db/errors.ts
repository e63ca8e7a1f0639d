/**
 * What can go wrong between us and the database, in two kinds: it is not there (try again later), or it refused a
 * statement (a rule of the schema). PostgreSQL's own message and detail quote values of rows, which may be PHI, so
 * neither kind carries them.
 */

/** The database could not be reached, was too slow, or has no room. Nothing is wrong with what was asked. */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable'
  /** `unknown` only if the commit was sent and its answer never came: the transaction may or may not have happened. */
  readonly outcome: 'not-applied' | 'unknown'
  /** SQLSTATE, or the system's error code, or `closed` */
  readonly code: string
  /** The server said so and still listens. Otherwise the connection is gone, was never made, or nobody was asked. */
  readonly isAnswered: boolean
  constructor(outcome: 'not-applied' | 'unknown', code: string, isAnswered = false) {
    super(`The database is unavailable (${code}); the transaction is ${outcome}`)
    this.outcome = outcome
    this.code = code
    this.isAnswered = isAnswered
  }
}

/** The database is there and must not be trusted; its message is for the operator. */
export class UnsafeDatabase extends DatabaseUnavailable {
  constructor(message: string) {
    super('not-applied', 'unsafe')
    this.message = message
  }
}

// Lock timeout, statement timeout or cancel, conflicts, XX internal (a damaged page or index): rows of one act may be the
// reason, and the acts beside it in a batch may do without it.
const ofOneAct = /^(55P03|57014|40|XX)/

/** A whole batch was refused and surely not applied, perhaps because of a few of its acts. */
export function mayBeOfOneAct(error: unknown): boolean {
  if (!(error instanceof DatabaseUnavailable)) return true
  return error.isAnswered && error.outcome === 'not-applied' && ofOneAct.test(error.code)
}

/** Somebody else held a row for longer than `lock_timeout`. */
export function isLockTimeout(error: unknown): boolean {
  return error instanceof DatabaseUnavailable && error.isAnswered && error.code === '55P03'
}

/** The database refused a statement. */
export class StatementFailed extends Error {
  override readonly name = 'StatementFailed'
  /** https://www.postgresql.org/docs/current/errcodes-appendix.html */
  readonly sqlState: string
  readonly statement: string
  readonly constraint: string | undefined
  readonly table: string | undefined
  constructor(statement: string, sqlState: string, constraint?: string, table?: string) {
    super(`Statement ${statement} failed: ${sqlState}${constraint === undefined ? '' : ` (${constraint})`}`)
    this.statement = statement
    this.sqlState = sqlState
    this.constraint = constraint
    this.table = table
  }
  /** Another transaction won; the same transaction from the start may well succeed. */
  get isConflict(): boolean {
    return this.sqlState === '40001' || this.sqlState === '40P01'
  }
}

/** Is this the unique (or primary key) constraint of that name? */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  if (!(error instanceof StatementFailed) || error.sqlState !== '23505') return false
  return constraint === undefined || error.constraint === constraint
}

// Class 08 connection, 53 resources (disk full, too many connections), 57P0x shutdown and start-up, 57014 statement
// timeout, 55P03 lock timeout, 25P03 idle in transaction, 25006 read-only (a standby, after a fail-over), 58 and F0 I/O
// and configuration file, XX internal. 28 and 3D: the way in is misconfigured, which one waits for, too.
const unavailable = /^(08|53|57P0|57014|55P03|25P03|25006|58|28|3D|XX)/

interface ServerError {
  readonly code?: unknown
  readonly severity?: unknown
  readonly constraint?: string
  readonly table?: string
}

/**
 * @param statement   the statement's name
 * @param isCommit    the error is the answer to COMMIT. A plain ERROR then still means "rolled back"; a lost connection
 *                    or a FATAL means that nobody knows.
 */
export function classify(error: unknown, statement: string, isCommit = false): DatabaseUnavailable | StatementFailed {
  if (error instanceof DatabaseUnavailable || error instanceof StatementFailed) return error
  const { code, severity, constraint, table } = error as ServerError
  const answered = severity === 'ERROR' && typeof code === 'string'
  if (answered && !unavailable.test(code)) return new StatementFailed(statement, code, constraint, table)
  const outcome = isCommit && !answered ? 'unknown' : 'not-applied'
  return new DatabaseUnavailable(outcome, typeof code === 'string' ? code : 'closed', answered)
}
