/** Limits of the way to the database. All times in milliseconds. */

export const dbLimits = {
  /** A statement that runs longer is cancelled by the server: the request behind it has long been given up. */
  statementTimeoutMs: 15_000,
  /** Waiting longer for a row means that its holder hangs: better one retryable problem than a queue. */
  lockTimeoutMs: 5_000,
  /** The same in a lane of group commit, where a whole batch waits; who meets a held row is tried again on its own. */
  laneLockTimeoutMs: 500,
  /** A transaction whose process has gone silent must not hold its locks. */
  idleInTransactionTimeoutMs: 10_000,
  /** The client's own patience, for a server that does not even answer "cancelled" (a cut cable). */
  answerTimeoutMs: 20_000,
  /** How long a caller waits for a free connection, or for a new one to be made. */
  acquireTimeoutMs: 10_000,
  /** How long a lane waits for a new connection. */
  connectTimeoutMs: 5_000,
  /** How long an act waits for its turn in a lane before its caller is told to try again later. */
  queueWaitMs: 10_000,
  /** The pauses before an act whose row somebody else holds is tried again; they double up to the maximum. */
  heldRetryMs: 25,
  heldRetryMsMax: 500,
  /** How long a server that starts waits for another one on the same database to end, and how often it looks. */
  otherServerMs: 30_000,
  otherServerRetryMs: 250,
  /** How often a server asks whether the connection that keeps the database for it still lives. */
  serverLockBeatMs: 10_000,
  /** Attempts at a transaction that loses to a concurrent one (serialization failure, deadlock). */
  attemptsMax: 5,
  /** The pause before the second attempt; it doubles with each further one. */
  retryDelayMs: 2,
  /** The pause before the second attempt to start the embedded engine again; it doubles up to the maximum. */
  embeddedRestartMs: 250,
  embeddedRestartMsMax: 5_000,
  /** An engine that has lived for this long has recovered; one that dies sooner is started again after a longer pause. */
  embeddedSteadyMs: 10_000,
  /** How often the embedded engine's thread shows that it is not lost in one call, and how long such a call may last. */
  embeddedBeatMs: 1_000,
  embeddedHungMs: 120_000,
  /** How long the embedded engine's log may grow before a checkpoint makes it short again, and how often that is looked at. */
  embeddedLogBytesMax: 32 * 1024 * 1024,
  embeddedLogLookMs: 5_000,
  /** How long the embedded engine may take to write its last checkpoint before it is cut off. */
  embeddedCloseMs: 5_000,
} as const
